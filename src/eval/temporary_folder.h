// SPDX-License-Identifier: BSD-3-Clause
// A folder in $TMPDIR (else /tmp) for what llama.cpp's tools read and write; it goes, with all it
// holds, with the object.
#pragma once

#include <string>
#include <utility>

#include "llmcodec/status.h"

namespace llmcodec {

class TemporaryFolder {
 public:
  static Result<TemporaryFolder> create();
  TemporaryFolder(TemporaryFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TemporaryFolder& operator=(TemporaryFolder&&) = delete;
  ~TemporaryFolder();
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace llmcodec
