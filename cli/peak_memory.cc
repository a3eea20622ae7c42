// SPDX-License-Identifier: BSD-3-Clause
#include "peak_memory.h"

#include <sys/resource.h>

#include <fstream>
#include <limits>
#include <string>

namespace llmcodec::cli {
namespace {

// 0 where the system does not tell. getrusage() counts what the process was before it became this program too: a copy
// of its parent, which may be large.
uint64_t linux_peak_bytes() {
  std::ifstream status("/proc/self/status");
  std::string key;
  while (status >> key) {
    uint64_t kibibytes = 0;
    if (key == "VmHWM:" && status >> kibibytes) return kibibytes * 1024;
    status.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return 0;
}

}  // namespace

uint64_t peak_memory_bytes() {
  if (const uint64_t bytes = linux_peak_bytes(); bytes > 0) return bytes;
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace llmcodec::cli
