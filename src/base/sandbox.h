// SPDX-License-Identifier: BSD-3-Clause
// Confinement of a child process that works on bytes of a stranger's: Landlock for the files it may read,
// seccomp for the calls it may make, and limits on its memory. A confined process
//   - reads the program, the system's libraries and what its policy names, and no other file;
//   - opens nothing for writing, and changes, removes or creates no file;
//   - has no network, starts no other process, and sends no signal.
// It may start threads, and use the pipes it was given (docs/decisions/043-ffmpeg-sandbox.md).
//
// Example (const std::string& program):
//
//   ProcessOptions options = {.arguments = {program, "-version"}};
//   options.sandbox = Sandbox{.readable = {}, .address_space_bytes = uint64_t{4} << 30};
//   LLMC_ASSIGN_OR_RETURN(const ProcessResult result, run_process(options));
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "llmcodec/status.h"

namespace llmcodec {

struct Sandbox {
  std::vector<std::string> readable = {};  // files and folders to read and run, besides those named above
  uint64_t address_space_bytes = 0;        // beyond this the process gets no memory
};

// "landlock+seccomp", or "none: REASON" where this system has not both. There a process that asks for a
// sandbox gets the limits on memory and files, and nothing else of it.
const std::string& sandbox_state();

// A sandbox made ready before fork: between fork and exec nothing may allocate.
class PreparedSandbox {
 public:
  // `program` is the path that will be executed. Io error when the rules cannot be made.
  static Result<PreparedSandbox> prepare(const Sandbox& policy, const std::string& program);

  // Confines the calling process, for good and with everything it executes. Called in the child, last before
  // exec; async-signal-safe. False, with errno, when the system refuses; the program must then not be run.
  bool enter() const;

 private:
  Descriptor file_rules_;  // not open: there is no sandbox here
  uint64_t address_space_bytes_ = 0;
};

}  // namespace llmcodec
