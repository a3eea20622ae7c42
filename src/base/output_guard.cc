// SPDX-License-Identifier: BSD-3-Clause
#include "base/output_guard.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "base/error.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

bool is_named(const Descriptor& file, const std::string& path) {
  struct stat open_file {
  }, named{};
  return ::fstat(file.get(), &open_file) == 0 && ::stat(path.c_str(), &named) == 0 &&
         open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

}  // namespace

Status check_output_file(const std::string& output, std::span<const std::string> inputs) {
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
  return Status::ok();
}

Result<Descriptor> open_locked(const std::string& path, int flags) {
  for (;;) {
    Descriptor file(::open(path.c_str(), flags | O_CLOEXEC, 0666));
    if (!file.is_open()) return errno_error("cannot open").in_file(path);
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return errno_error("cannot lock").in_file(path);
      return error(ErrorKind::kInvalidArgument,
                   "another llmcodec is writing to this output; wait for its end, or name another output")
          .in_file(path);
    }
    // A writer that ended since open() may have removed what we opened; its lock would keep nobody away.
    if (is_named(file, path)) return file;
  }
}

Result<FolderLock> FolderLock::take(const std::string& folder) {
  FolderLock lock;
  lock.path_ = (fs::path(folder) / ".llmcodec-lock").string();
  LLMC_ASSIGN_OR_RETURN(lock.file_, open_locked(lock.path_, O_RDWR | O_CREAT));
  return lock;
}

FolderLock::~FolderLock() {
  if (file_.is_open()) ::unlink(path_.c_str());
}

}  // namespace llmcodec
