// SPDX-License-Identifier: BSD-3-Clause
// What must hold before something is written: the output is no input and nothing but a plain file, and nobody
// else is writing to it.
#pragma once

#include <span>
#include <string>

#include "base/descriptor.h"
#include "llmcodec/status.h"

namespace llmcodec {

// To be asked before any file is opened for writing. InvalidArgument when `output` is the same file as one of
// `inputs`, under whatever name or link (empty inputs are skipped), and when it exists and is no regular
// file: a finished output takes the place of what has its name, and a folder, a FIFO or a device must not be
// lost.
Status check_output_file(const std::string& output, std::span<const std::string> inputs);

// Opens `path` with the flags of open(2) and keeps others from doing the same until the descriptor is closed
// or the process ends, however it ends. InvalidArgument when another process (or another call in this one)
// holds it; Io when it cannot be opened or locked.
Result<Descriptor> open_locked(const std::string& path, int flags);

// For several files that belong together: a file ".llmcodec-lock" in their folder, locked, and removed with
// this object. (The folder itself cannot be locked on network file systems.)
class FolderLock {
 public:
  static Result<FolderLock> take(const std::string& folder);
  FolderLock(FolderLock&&) = default;
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  FolderLock() = default;
  std::string path_;
  Descriptor file_;
};

}  // namespace llmcodec
