// SPDX-License-Identifier: BSD-3-Clause
#include "base/stand_in.h"

#include <map>
#include <mutex>
#include <utility>

namespace llmcodec {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, ByteSourcePtr> files;
};

// Paths belong to the process, and so does what they mean.
Registry& registry() {
  static Registry all;
  return all;
}

}  // namespace

StandIn::StandIn(std::string path, uint64_t size, ReadFunction read) : path_(std::move(path)) {
  const std::lock_guard lock(registry().mutex);
  registry().files[path_] = function_byte_source(size, path_, std::move(read));
}

StandIn::~StandIn() {
  const std::lock_guard lock(registry().mutex);
  registry().files.erase(path_);
}

ByteSourcePtr StandIn::find(const std::string& path) {
  const std::lock_guard lock(registry().mutex);
  const auto found = registry().files.find(path);
  return found == registry().files.end() ? nullptr : found->second;
}

}  // namespace llmcodec
