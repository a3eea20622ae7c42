// SPDX-License-Identifier: BSD-3-Clause
// Small files that the program itself reads and writes, and a folder for what must not stay.
#pragma once

#include <string>

#include "llmcodec/status.h"

namespace llmcodec::cli {

// Whether the file begins with the four bytes "GGUF"; false for folders and files that cannot be read.
bool is_gguf_file(const std::string& path);

// A new folder in $TMPDIR (else /tmp), removed with all it holds when this object goes.
class TemporaryFolder {
 public:
  static Result<TemporaryFolder> create();
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&& other) noexcept {
    std::swap(path_, other.path_);
    return *this;
  }
  ~TemporaryFolder();
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace llmcodec::cli
