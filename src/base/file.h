// SPDX-License-Identifier: BSD-3-Clause
// Files: whole-file reads (base/byte_source.h reads by position), and writers that appear under their final
// name only when complete. Every error names the file.
//
// Example (const std::string& from, const std::string& to):
//
//   LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> bytes, read_file(from, 1000));
//   LLMC_ASSIGN_OR_RETURN(AtomicFile out, AtomicFile::create(to));
//   LLMC_RETURN_IF_ERROR(out.write(bytes));
//   LLMC_RETURN_IF_ERROR(out.commit());  // fsync, rename over `to`, fsync of the folder
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/descriptor.h"
#include "base/output_guard.h"
#include "llmcodec/status.h"

namespace llmcodec {

// Reads a file of at most `max_bytes` (more is a Limit error).
Result<std::vector<std::byte>> read_file(const std::string& path, uint64_t max_bytes);
Result<std::string> read_text_file(const std::string& path, uint64_t max_bytes);
// Its first bytes, `count` at most, by which formats are recognised.
Result<std::string> read_prefix(const std::string& path, uint64_t count);

// Of an open file; Io when it is no regular one.
Result<uint64_t> regular_file_size(int descriptor, const std::string& path);

// Writes a file beside PATH; commit() moves it to PATH. Destroyed without commit(), it removes what it wrote
// unless keep_partial() was called (for resuming). All refuse a PATH that check_output_file() refuses.
class AtomicFile {
 public:
  // Has the right to write PATH (OutputLock) as long as it lives, and removes what killed writers of PATH left.
  static Result<AtomicFile> create(const std::string& path);
  // For one of several files that a lock of the caller's covers: written as `partial`, which must not exist.
  static Result<AtomicFile> create_under(const OutputLock& lock, const std::string& path,
                                         std::string partial);
  // The same as PATH + ".partial", where a later run finds it. InvalidArgument when something is there already.
  static Result<AtomicFile> create_resumable(const OutputLock& lock, const std::string& path);
  // Opens the partial file that create_resumable() left for writing at its end, cut to `size` bytes (Io if
  // absent or shorter).
  static Result<AtomicFile> resume(const OutputLock& lock, const std::string& path, uint64_t size);
  AtomicFile(AtomicFile&& other) noexcept;
  AtomicFile& operator=(AtomicFile&& other) noexcept;
  ~AtomicFile();

  Status write(std::span<const std::byte> bytes);  // at the end; the disk starts on what has come together
  Status write_at(uint64_t offset, std::span<const std::byte> bytes);
  // commit() is flush(), publish() and sync_folder() of its folder.
  Status commit();
  Status flush();    // all is on the disk; nothing may be written after it
  Status publish();  // the file gets its final name
  void keep_partial() { keep_ = true; }
  uint64_t size() const { return size_; }
  const std::string& path() const { return path_; }
  // Where the bytes are until commit(): for programs and copies that write them by name.
  const std::string& partial() const { return partial_; }
  static std::string partial_path(const std::string& path) { return path + ".partial"; }

 private:
  AtomicFile() = default;
  std::string path_;
  std::string partial_;
  std::optional<OutputLock> lock_;  // of create(); goes after the partial file
  Descriptor descriptor_;
  uint64_t size_ = 0;
  uint64_t started_ = 0;  // bytes that the disk was told to begin with
  bool exists_ = false;   // the partial file
  bool keep_ = false;
};

// rename(2): what is called `to` is replaced.
Status rename_file(const std::string& from, const std::string& to);

// Names that were given or taken in a folder ("" is the current one) survive a power cut from here on. Some network
// file systems cannot be asked for that, which is no error.
Status sync_folder(const std::string& folder);

// Convenience over AtomicFile for small files.
Status write_file(const std::string& path, std::span<const std::byte> bytes);
Status write_text_file(const std::string& path, const std::string& text);

}  // namespace llmcodec
