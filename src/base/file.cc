// SPDX-License-Identifier: BSD-3-Clause
#include "base/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>

#include "base/byte_source.h"
#include "base/error.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

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

// Takes decimal digits, one at least, from the front of `text`.
bool take_number(std::string_view& text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  text.remove_prefix(digits);
  return digits > 0;
}

// Whether `name` is one that create() gives to what is not finished of the file `output`.
bool is_leftover(std::string_view name, const std::string& output) {
  if (!name.starts_with(output + ".")) return false;
  name.remove_prefix(output.size() + 1);
  if (!take_number(name) || !name.starts_with("-")) return false;
  name.remove_prefix(1);
  return take_number(name) && name == ".partial";
}

// Of killed writers: the caller alone may write `path`, so nobody is at work on them. One that cannot be removed
// does no harm.
void remove_leftovers(const std::string& path) {
  const fs::path file(path);
  const fs::path folder = file.has_parent_path() ? file.parent_path() : ".";
  std::error_code code;
  std::vector<fs::path> found;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code)) {
    if (is_leftover(entry->path().filename().string(), file.filename().string()))
      found.push_back(entry->path());
  }
  for (const fs::path& leftover : found) ::unlink(leftover.c_str());
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

// The process number alone would not do: threads of one process write too.
Result<AtomicFile> AtomicFile::create(const std::string& path) {
  LLMC_RETURN_IF_ERROR(check_output_file(path, {}));
  LLMC_ASSIGN_OR_RETURN(OutputLock lock, OutputLock::file(path));
  remove_leftovers(path);
  static std::atomic<unsigned> number = 0;
  LLMC_ASSIGN_OR_RETURN(
      AtomicFile file,
      create_under(lock, path, fmt::format("{}.{}-{}.partial", path, ::getpid(), number.fetch_add(1))));
  file.lock_.emplace(std::move(lock));
  return file;
}

Result<AtomicFile> AtomicFile::create_under(const OutputLock&, const std::string& path, std::string partial) {
  LLMC_RETURN_IF_ERROR(check_output_file(path, {}));
  AtomicFile file;
  file.path_ = path;
  file.partial_ = std::move(partial);
  file.descriptor_ = open_descriptor(file.partial_, O_RDWR | O_CREAT | O_EXCL);
  if (!file.descriptor_.is_open()) return errno_error("cannot create").in_file(file.partial_);
  file.exists_ = true;
  return file;
}

Result<AtomicFile> AtomicFile::create_resumable(const OutputLock& lock, const std::string& path) {
  auto file = create_under(lock, path, partial_path(path));
  std::error_code code;
  if (file.is_ok() || !fs::exists(fs::symlink_status(partial_path(path), code))) return file;
  return error(ErrorKind::kInvalidArgument,
               "would be written over, and no interrupted run is known that left it; name another output, or "
               "pass --restart to throw it away")
      .in_file(partial_path(path));
}

// The name is known beforehand: a link that somebody put there must not lead to another file.
Result<AtomicFile> AtomicFile::resume(const OutputLock&, const std::string& path, uint64_t size) {
  AtomicFile file;
  file.path_ = path;
  file.partial_ = partial_path(path);
  file.descriptor_ = open_descriptor(file.partial_, O_RDWR | O_NOFOLLOW);
  const int fd = file.descriptor_.get();
  if (!file.descriptor_.is_open()) return errno_error("cannot open for resuming").in_file(file.partial_);
  LLMC_ASSIGN_OR_RETURN(const uint64_t present, regular_file_size(fd, file.partial_));
  if (present < size)
    return error(ErrorKind::kIo, "has {} bytes, {} were recorded as written", present, size)
        .in_file(file.partial_);
  if (uninterrupted([&] { return ::ftruncate(fd, static_cast<off_t>(size)); }) != 0)
    return errno_error("cannot cut to its recorded size").in_file(file.partial_);
  file.size_ = size;
  file.exists_ = true;  // only now: a failed resume must not throw the work away
  return file;
}

AtomicFile::AtomicFile(AtomicFile&& other) noexcept {
  *this = std::move(other);
}

AtomicFile& AtomicFile::operator=(AtomicFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(partial_, other.partial_);
  std::swap(lock_, other.lock_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  std::swap(started_, other.started_);
  std::swap(exists_, other.exists_);
  std::swap(keep_, other.keep_);
  return *this;
}

AtomicFile::~AtomicFile() {
  if (exists_ && !keep_) ::unlink(partial_.c_str());
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
    const ssize_t n = uninterrupted(
        [&] { return ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset)); });
    if (n < 0) return errno_error("cannot write").in_file(partial_).at_offset(offset);
    if (n == 0) return error(ErrorKind::kIo, "takes no more bytes").in_file(partial_).at_offset(offset);
    offset += static_cast<uint64_t>(n);
    size_ = std::max(size_, offset);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return Status::ok();
}

Status AtomicFile::flush() {
  if (uninterrupted([&] { return ::fsync(descriptor_.get()); }) != 0)
    return errno_error("cannot flush to disk").in_file(partial_);
  descriptor_.close();
  return Status::ok();
}

Status AtomicFile::publish() {
  LLMC_RETURN_IF_ERROR(rename_file(partial_, path_));
  exists_ = false;
  return Status::ok();
}

Status AtomicFile::commit() {
  LLMC_RETURN_IF_ERROR(flush());
  LLMC_RETURN_IF_ERROR(publish());
  Status synced = sync_folder(fs::path(path_).parent_path().string());
  lock_.reset();
  return synced;
}

Status rename_file(const std::string& from, const std::string& to) {
  if (uninterrupted([&] { return ::rename(from.c_str(), to.c_str()); }) == 0) return Status::ok();
  return errno_error("cannot move " + from + " here").in_file(to);
}

Status sync_folder(const std::string& folder) {
  const Descriptor opened = open_descriptor(folder.empty() ? "." : folder, O_RDONLY | O_DIRECTORY);
  const bool synced = opened.is_open() && uninterrupted([&] { return ::fsync(opened.get()); }) == 0;
  if (synced || (errno != EIO && errno != ENOSPC)) return Status::ok();
  return errno_error("what was written is complete, but the folder could not be flushed to disk")
      .in_file(folder);
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
