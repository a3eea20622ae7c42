// SPDX-License-Identifier: BSD-3-Clause
#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "base/byte_source.h"
#include "base/error.h"
#include "base/output_guard.h"

namespace llmcodec {
namespace {

template <class Buffer>
Result<Buffer> read_whole(const std::string& path, uint64_t max_bytes) {
  LLMC_ASSIGN_OR_RETURN(const ByteSourcePtr file, open_byte_source(path));
  if (file->size() > max_bytes)
    return error(ErrorKind::kLimit, "file of {} bytes, at most {} are accepted here", file->size(), max_bytes)
        .in_file(path);
  Buffer buffer(file->size(), typename Buffer::value_type{});
  LLMC_RETURN_IF_ERROR(file->read_at(0, std::as_writable_bytes(std::span(buffer))));
  return buffer;
}

}  // namespace

Result<uint64_t> regular_file_size(int descriptor, const std::string& path) {
  struct stat info {};
  if (::fstat(descriptor, &info) != 0) return errno_error("cannot read its size").in_file(path);
  if (!S_ISREG(info.st_mode)) return error(ErrorKind::kIo, "not a regular file").in_file(path);
  return static_cast<uint64_t>(info.st_size);
}

Result<std::vector<std::byte>> read_file(const std::string& path, uint64_t max_bytes) {
  return read_whole<std::vector<std::byte>>(path, max_bytes);
}

Result<std::string> read_text_file(const std::string& path, uint64_t max_bytes) {
  return read_whole<std::string>(path, max_bytes);
}

Result<std::string> read_prefix(const std::string& path, uint64_t count) {
  LLMC_ASSIGN_OR_RETURN(const ByteSourcePtr file, open_byte_source(path));
  std::string prefix(std::min(count, file->size()), '\0');
  LLMC_RETURN_IF_ERROR(file->read_at(0, std::as_writable_bytes(std::span(prefix))));
  return prefix;
}

Result<AtomicFile> AtomicFile::create(const std::string& path) {
  LLMC_RETURN_IF_ERROR(check_output_file(path, {}));
  AtomicFile file;
  file.path_ = path;
  // The process number alone would not do: threads of one process write too, and a killed process may leave a
  // file behind under a number that is given out again.
  for (unsigned attempt = 0; !file.descriptor_.is_open(); ++attempt) {
    file.partial_ = fmt::format("{}.{}-{}.partial", path, ::getpid(), attempt);
    file.descriptor_ = Descriptor(::open(file.partial_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
    if (!file.descriptor_.is_open() && errno != EEXIST)
      return errno_error("cannot create").in_file(file.partial_);
  }
  return file;
}

Result<AtomicFile> AtomicFile::create_resumable(const std::string& path) {
  LLMC_RETURN_IF_ERROR(check_output_file(path, {}));
  return open_resumable(path, O_CREAT | O_TRUNC);
}

Result<AtomicFile> AtomicFile::resume(const std::string& path, uint64_t size) {
  LLMC_ASSIGN_OR_RETURN(AtomicFile file, open_resumable(path, 0));
  file.keep_ = true;  // a failed resume must not throw the work away
  const int fd = file.descriptor_.get();
  LLMC_ASSIGN_OR_RETURN(const uint64_t present, regular_file_size(fd, file.partial_));
  if (present < size)
    return error(ErrorKind::kIo, "has {} bytes, {} were recorded as written", present, size)
        .in_file(file.partial_);
  if (::ftruncate(fd, static_cast<off_t>(size)) != 0)
    return errno_error("cannot cut to its recorded size").in_file(file.partial_);
  file.size_ = size;
  file.keep_ = false;
  return file;
}

// The name is known beforehand: a link that somebody put there must not lead to another file.
Result<AtomicFile> AtomicFile::open_resumable(const std::string& path, int flags) {
  AtomicFile file;
  file.path_ = path;
  file.partial_ = partial_path(path);
  file.descriptor_ = Descriptor(::open(file.partial_.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | flags, 0666));
  if (!file.descriptor_.is_open())
    return errno_error(flags == 0 ? "cannot open for resuming" : "cannot create").in_file(file.partial_);
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept {
  *this = std::move(other);
}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(partial_, other.partial_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  std::swap(started_, other.started_);
  std::swap(keep_, other.keep_);
  return *this;
}

AtomicFile::~AtomicFile() {
  if (descriptor_.is_open() && !keep_) ::unlink(partial_.c_str());
}

Status AtomicFile::write(std::span<const std::byte> bytes) {
  LLMC_RETURN_IF_ERROR(write_at(size_, bytes));
#if defined(__linux__)
  // Else commit() waits for all of it: a twentieth of the time of decompress. Only a hint, so no error.
  constexpr uint64_t kPiece = 16 << 20;
  if (size_ >= started_ + kPiece) {
    ::sync_file_range(descriptor_.get(), static_cast<off64_t>(started_),
                      static_cast<off64_t>(size_ - started_), SYNC_FILE_RANGE_WRITE);
    started_ = size_;
  }
#endif
  return Status::ok();
}

Status AtomicFile::write_at(uint64_t offset, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno_error("cannot write").in_file(partial_).at_offset(offset);
    offset += static_cast<uint64_t>(n);
    size_ = std::max(size_, offset);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return Status::ok();
}

Status AtomicFile::commit() {
  if (::fsync(descriptor_.get()) != 0) return errno_error("cannot flush to disk").in_file(partial_);
  if (::rename(partial_.c_str(), path_.c_str()) != 0)
    return errno_error("cannot move the finished file here").in_file(path_);
  descriptor_.close();
  // The rename itself must survive a power cut; a folder that cannot be opened or synced (some network file
  // systems) is no reason to call a complete file broken.
  const std::string folder = std::filesystem::path(path_).parent_path().string();
  const Descriptor dir(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (dir.is_open()) ::fsync(dir.get());
  return Status::ok();
}

Status write_file(const std::string& path, std::span<const std::byte> bytes) {
  LLMC_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  LLMC_RETURN_IF_ERROR(file.write(bytes));
  return file.commit();
}

Status write_text_file(const std::string& path, const std::string& text) {
  return write_file(path, std::as_bytes(std::span(text)));
}

}  // namespace llmcodec
