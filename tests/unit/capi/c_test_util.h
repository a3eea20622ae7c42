// SPDX-License-Identifier: BSD-3-Clause
// What the tests of the C interface share.
#pragma once

#include <memory>
#include <string>

#include "../restore/small_archive.h"
#include "llmcodec/llmcodec.h"

namespace llmcodec {

// An options struct with its size set.
template <class Options>
Options sized() {
  Options options{};
  options.struct_size = sizeof(options);
  return options;
}

// Where an error goes; freed at the end.
class ErrorOut {
 public:
  ~ErrorOut() { llmcodec_error_free(error_); }
  operator llmcodec_error**() {
    llmcodec_error_free(error_);
    error_ = nullptr;
    return &error_;
  }
  const llmcodec_error* get() const { return error_; }
  std::string text() const { return error_ == nullptr ? "" : llmcodec_error_text(error_); }

 private:
  llmcodec_error* error_ = nullptr;
};

struct CloseArchive {
  void operator()(llmcodec_archive* archive) const { llmcodec_archive_close(archive); }
};
using ArchiveHandle = std::unique_ptr<llmcodec_archive, CloseArchive>;

inline ArchiveHandle open_handle(const std::string& path) {
  llmcodec_archive* archive = nullptr;
  ErrorOut error;
  EXPECT_EQ(llmcodec_archive_open(path.c_str(), nullptr, &archive, error), LLMCODEC_OK) << error.text();
  return ArchiveHandle(archive);
}

// A tensor in its own dtype; the error's text when that fails.
inline std::string decoded(const llmcodec_archive* archive, const std::string& name,
                           const llmcodec_decode_options* options = nullptr) {
  ErrorOut error;
  size_t tensor = 0;
  uint64_t bytes = 0;
  if (llmcodec_archive_find(archive, name.c_str(), &tensor, error) != LLMCODEC_OK) return error.text();
  if (llmcodec_archive_byte_size(archive, tensor, nullptr, &bytes, error) != LLMCODEC_OK) return error.text();
  std::string out(bytes, '?');
  if (llmcodec_archive_decode(archive, tensor, options, out.data(), out.size(), error) != LLMCODEC_OK)
    return error.text();
  return out;
}

// Frees a report.
inline std::string take(char* text) {
  std::string own = text != nullptr ? text : "";
  llmcodec_string_free(text);
  return own;
}

}  // namespace llmcodec
