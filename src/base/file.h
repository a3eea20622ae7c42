// SPDX-License-Identifier: BSD-3-Clause
// Files: whole-file reads (base/byte_source.h reads by position), and writers that appear under their final
// name only when complete. Every error names the file.
//
//   LLMC_ASSIGN_OR_RETURN(AtomicFile out, AtomicFile::create(path));
//   LLMC_RETURN_IF_ERROR(out.write(bytes));
//   LLMC_RETURN_IF_ERROR(out.commit());   // fsync, rename over `path`, fsync of the folder
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "llmcodec/status.h"

namespace llmcodec {

// Reads a file of at most `max_bytes` (more is a Limit error).
Result<std::vector<std::byte>> read_file(const std::string& path, uint64_t max_bytes);
Result<std::string> read_text_file(const std::string& path, uint64_t max_bytes);
// Its first bytes, `count` at most, by which formats are recognised.
Result<std::string> read_prefix(const std::string& path, uint64_t count);

// Of an open file; Io when it is no regular one.
Result<uint64_t> regular_file_size(int descriptor, const std::string& path);

// Writes PATH + ".partial" in the same folder; commit() moves it to PATH. Destroyed without commit(), it
// removes the partial file unless keep_partial() was called (for resuming).
class AtomicFile {
 public:
  static Result<AtomicFile> create(const std::string& path);
  // Opens an existing partial file of `path` for writing at its end, cut to `size` bytes (Io if absent or
  // shorter).
  static Result<AtomicFile> resume(const std::string& path, uint64_t size);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  ~AtomicFile();

  Status write(std::span<const std::byte> bytes);  // at the end; the disk starts on what has come together
  Status write_at(uint64_t offset, std::span<const std::byte> bytes);
  Status commit();
  void keep_partial() { keep_ = true; }
  uint64_t size() const { return size_; }
  const std::string& path() const { return path_; }
  static std::string partial_path(const std::string& path) { return path + ".partial"; }

 private:
  AtomicFile() = default;
  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
  uint64_t started_ = 0;  // bytes that the disk was told to begin with
  bool keep_ = false;
};

// Convenience over AtomicFile for small files.
Status write_file(const std::string& path, std::span<const std::byte> bytes);
Status write_text_file(const std::string& path, const std::string& text);

}  // namespace llmcodec
