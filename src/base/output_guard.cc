// SPDX-License-Identifier: BSD-3-Clause
#include "base/output_guard.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <thread>
#include <utility>

#include "base/error.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

bool is_named(const Descriptor& file, const std::string& path) {
  struct stat open_file {
  }, named{};
  return ::fstat(file.get(), &open_file) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

// Places in the lock file, which has no bytes: every holder shares the first, whoever has it alone may remove the
// file, and each name of a file in the folder has one of the others.
constexpr off_t kPresence = 0;
constexpr off_t kFirstPlace = 1;

// FNV-1a, cut to what an offset holds: it must be the same in every build of this program.
off_t place_of(const std::string& name) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return kFirstPlace + static_cast<off_t>(hash >> 2);
}

// Locks of an open file, not of a process: two threads keep each other away, and no other close() frees them. False,
// and errno, when that is refused.
bool set_lock(const Descriptor& file, int type, off_t first, off_t count) {
  struct flock range {};
  range.l_type = static_cast<short>(type);
  range.l_whence = SEEK_SET;
  range.l_start = first;
  range.l_len = count;
  return uninterrupted([&] { return ::fcntl(file.get(), F_OFD_SETLK, &range); }) == 0;
}

// Of what errno says.
Error refusal(const std::string& lock, const std::string& output) {
  if (errno != EAGAIN && errno != EACCES) return errno_error("cannot lock " + lock).in_file(output);
  return error(ErrorKind::kInvalidArgument,
               "another llmcodec is writing to this output; wait for its end, or name another output")
      .in_file(output);
}

// The lock file, with a share of its first place. Whoever removes the file has that place for a moment, which is
// waited for; a file that was removed since it was opened would keep nobody away.
Result<Descriptor> open_lock_file(const std::string& path, const std::string& output) {
  constexpr int kAttempts = 200;
  constexpr auto kPause = std::chrono::milliseconds(5);
  for (int attempt = 0;; ++attempt) {
    Descriptor file = open_descriptor(path, O_RDWR | O_CREAT | O_NOFOLLOW);
    if (!file.is_open()) return errno_error("cannot create " + path).in_file(output);
    if (set_lock(file, F_RDLCK, kPresence, 1)) {
      if (is_named(file, path)) return file;
      errno = EAGAIN;
    }
    if ((errno != EAGAIN && errno != EACCES) || attempt == kAttempts) return refusal(path, output);
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace

Status check_output_name(const std::string& output) {
  if (output.empty()) return error(ErrorKind::kInvalidArgument, "the output has no name");
  if (output == "-")
    return error(ErrorKind::kInvalidArgument,
                 "outputs are written in several places and appear when they are complete, which standard "
                 "output does not allow; name a file (./- for one of this name)")
        .in_file(output);
  return Status::ok();
}

Status check_output_file(const std::string& output, std::span<const std::string> inputs) {
  LLMC_RETURN_IF_ERROR(check_output_name(output));
  std::error_code code;
  const fs::file_status status = fs::status(output, code);
  if (fs::is_directory(status))
    return error(ErrorKind::kInvalidArgument, "is a folder: name the file to write").in_file(output);
  if (fs::exists(status) && !fs::is_regular_file(status))
    return error(ErrorKind::kInvalidArgument,
                 "is no regular file, and would be replaced: name another output")
        .in_file(output);
  for (const std::string& input : inputs) {
    if (!input.empty() && fs::equivalent(input, output, code))
      return error(ErrorKind::kInvalidArgument, "output is the input {}: name another output", input)
          .in_file(output);
  }
  if (output.ends_with('/'))
    return error(ErrorKind::kInvalidArgument, "ends in '/', as a folder does: name the file to write")
        .in_file(output);
  if (fs::is_symlink(fs::symlink_status(output, code)))
    return error(
               ErrorKind::kInvalidArgument,
               "is a symbolic link, and would be replaced: name the file that it leads to, or another output")
        .in_file(output);
  return Status::ok();
}

Status check_output_files(std::span<const std::string> outputs, std::span<const std::string> inputs) {
  struct stat info {};
  std::map<std::pair<dev_t, ino_t>, const std::string*> known;
  for (const std::string& input : inputs) {
    if (!input.empty() && ::stat(input.c_str(), &info) == 0)
      known.try_emplace({info.st_dev, info.st_ino}, &input);
  }
  for (const std::string& output : outputs) {
    if (::stat(output.c_str(), &info) == 0) {
      const auto found = known.find({info.st_dev, info.st_ino});
      if (found != known.end()) return check_output_file(output, {found->second, 1});
    }
    LLMC_RETURN_IF_ERROR(check_output_file(output, {}));
  }
  return Status::ok();
}

Status check_output_folder(const std::string& output) {
  const fs::path parent = fs::path(output).parent_path();
  const fs::path folder = parent.empty() ? "." : parent;
  std::error_code code;
  const fs::file_status status = fs::status(folder, code);
  if (fs::is_directory(status)) return Status::ok();
  if (fs::exists(status)) return error(ErrorKind::kIo, "{} is no folder", folder.string()).in_file(output);
  return error(ErrorKind::kIo, "its folder is not there ({}): {}", code.message(), folder.string())
      .in_file(output);
}

Status check_space(const std::string& output, uint64_t bytes) {
  // The nearest folder that is there.
  std::error_code code;
  fs::path folder = fs::absolute(output, code);
  while (!fs::is_directory(folder, code) && folder.has_relative_path()) folder = folder.parent_path();
  const fs::space_info space = fs::space(folder, code);
  if (code || space.capacity == 0 || space.available >= bytes) return Status::ok();
  return error(ErrorKind::kIo, "No space left on device: {} bytes will be written, and {} are free", bytes,
               space.available)
      .in_file(output);
}

Result<OutputLock> OutputLock::file(const std::string& path) {
  LLMC_RETURN_IF_ERROR(check_output_folder(path));
  const fs::path file(path);
  return take(file.parent_path().string(), place_of(file.filename().string()), 1, path);
}

Result<OutputLock> OutputLock::folder(const std::string& path) {
  return take(path, kFirstPlace, 0, path);  // as far as there are places
}

Result<OutputLock> OutputLock::take(const std::string& folder, off_t first, off_t count,
                                    const std::string& output) {
  OutputLock lock;
  lock.path_ = (fs::path(folder) / ".llmcodec-lock").string();
  LLMC_ASSIGN_OR_RETURN(lock.file_, open_lock_file(lock.path_, output));
  if (set_lock(lock.file_, F_WRLCK, first, count)) return lock;
  return refusal(lock.path_, output);
}

OutputLock& OutputLock::operator=(OutputLock&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(file_, other.file_);
  return *this;
}

// All is given back before the attempt to be alone: of two that end together, the later one succeeds.
OutputLock::~OutputLock() {
  if (!file_.is_open()) return;
  set_lock(file_, F_UNLCK, kPresence, 0);
  if (set_lock(file_, F_WRLCK, kPresence, 0) && is_named(file_, path_)) ::unlink(path_.c_str());
}

}  // namespace llmcodec
