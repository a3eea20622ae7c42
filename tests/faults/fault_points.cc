// SPDX-License-Identifier: BSD-3-Clause
// Loaded before the C library (LD_PRELOAD), it makes the N-th call that touches a file of a folder go wrong. The
// program under test is the real one and knows nothing of it. Environment:
//   LLMC_FAULT_FOLDER  only files below it count ("points"); calls on anything else go through untouched
//   LLMC_FAULT_LOG     file that gets one line per point: number, call, path
//   LLMC_FAULT_POINT   number of the point at which something happens, from 1 on
//   LLMC_FAULT_ACTION  what: a number (the call fails with this errno), "short" (half of the bytes are read or
//                      written), "kill" (SIGKILL before the call), "stop" (waits before the call: makes the file
//                      LLMC_FAULT_BARRIER + ".reached" and goes on when LLMC_FAULT_BARRIER + ".go" is there)
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <string>

namespace {

std::atomic<long> point_count = 0;
thread_local bool inside = false;  // calls of this file itself are not points

std::string variable(const char* name) {
  const char* value = getenv(name);
  return value != nullptr ? value : "";
}

std::string path_of(int fd) {
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t size = readlink(link.c_str(), path, sizeof path);
  return size > 0 ? std::string(path, static_cast<size_t>(size)) : "";
}

std::string absolute(int folder, const char* path) {
  if (path[0] == '/') return path;
  char here[4096];
  if (folder != AT_FDCWD) return path_of(folder) + "/" + path;
  return std::string(getcwd(here, sizeof here) != nullptr ? here : "") + "/" + path;
}

void wait_at_barrier() {
  const std::string barrier = variable("LLMC_FAULT_BARRIER");
  struct stat info;
  const int reached = static_cast<int>(
      syscall(SYS_openat, AT_FDCWD, (barrier + ".reached").c_str(), O_CREAT | O_WRONLY, 0600));
  syscall(SYS_close, reached);
  while (stat((barrier + ".go").c_str(), &info) != 0) usleep(1000);
}

void log_point(long number, const char* call, const std::string& path) {
  const std::string log = variable("LLMC_FAULT_LOG");
  if (log.empty()) return;
  const std::string line = std::to_string(number) + " " + call + " " + path + "\n";
  const int fd =
      static_cast<int>(syscall(SYS_openat, AT_FDCWD, log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600));
  [[maybe_unused]] const long written = syscall(SYS_write, fd, line.data(), line.size());
  syscall(SYS_close, fd);
}

enum class Outcome { kGoOn, kFail, kShort };

// Counts the call if it is a point. kFail: errno is set.
Outcome at_point(const char* call, const std::string& path) {
  if (inside) return Outcome::kGoOn;
  static const std::string folder = variable("LLMC_FAULT_FOLDER");
  static const long chosen = atol(variable("LLMC_FAULT_POINT").c_str());
  static const std::string action = variable("LLMC_FAULT_ACTION");
  if (folder.empty() || !path.starts_with(folder)) return Outcome::kGoOn;
  inside = true;
  const long number = ++point_count;
  log_point(number, call, path);
  if (number == chosen && action == "kill") kill(getpid(), SIGKILL);
  if (number == chosen && action == "stop") wait_at_barrier();
  inside = false;
  if (number != chosen || action == "stop") return Outcome::kGoOn;
  if (action == "short") return Outcome::kShort;
  errno = atoi(action.c_str());
  return Outcome::kFail;
}

template <class Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

// How much of `count` bytes a call may take; more than `count` when it is to fail.
template <class Call>
ssize_t transfer(const char* name, int fd, size_t count, const Call& call) {
  const int before = errno;
  const Outcome outcome = at_point(name, path_of(fd));
  if (outcome == Outcome::kFail) return -1;
  errno = before;
  return call(outcome == Outcome::kShort && count > 1 ? count / 2 : count);
}

template <class Call>
int plain(const char* name, const std::string& path, const Call& call) {
  const int before = errno;
  if (at_point(name, path) == Outcome::kFail) return -1;
  errno = before;
  return call();
}

}  // namespace

#define REAL(name) static const auto next = real<decltype(&name)>(#name)

extern "C" {

int open(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
  va_end(list);
  REAL(open);
  return plain("open", absolute(AT_FDCWD, path), [&] { return next(path, flags, mode); });
}

int open64(const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
  va_end(list);
  REAL(open64);
  return plain("open", absolute(AT_FDCWD, path), [&] { return next(path, flags, mode); });
}

int openat(int folder, const char* path, int flags, ...) {
  va_list list;
  va_start(list, flags);
  const mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;
  va_end(list);
  REAL(openat);
  return plain("open", absolute(folder, path), [&] { return next(folder, path, flags, mode); });
}

ssize_t read(int fd, void* out, size_t count) {
  REAL(read);
  return transfer("read", fd, count, [&](size_t n) { return next(fd, out, n); });
}

ssize_t write(int fd, const void* bytes, size_t count) {
  REAL(write);
  return transfer("write", fd, count, [&](size_t n) { return next(fd, bytes, n); });
}

ssize_t pread(int fd, void* out, size_t count, off_t offset) {
  REAL(pread);
  return transfer("pread", fd, count, [&](size_t n) { return next(fd, out, n, offset); });
}

ssize_t pread64(int fd, void* out, size_t count, off64_t offset) {
  REAL(pread64);
  return transfer("pread", fd, count, [&](size_t n) { return next(fd, out, n, offset); });
}

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  REAL(pwrite);
  return transfer("pwrite", fd, count, [&](size_t n) { return next(fd, bytes, n, offset); });
}

ssize_t pwrite64(int fd, const void* bytes, size_t count, off64_t offset) {
  REAL(pwrite64);
  return transfer("pwrite", fd, count, [&](size_t n) { return next(fd, bytes, n, offset); });
}

int ftruncate(int fd, off_t size) noexcept {
  REAL(ftruncate);
  return plain("ftruncate", path_of(fd), [&] { return next(fd, size); });
}

int ftruncate64(int fd, off64_t size) noexcept {
  REAL(ftruncate64);
  return plain("ftruncate", path_of(fd), [&] { return next(fd, size); });
}

int fsync(int fd) {
  REAL(fsync);
  return plain("fsync", path_of(fd), [&] { return next(fd); });
}

// The descriptor is gone also when close() fails, as on Linux.
int close(int fd) {
  REAL(close);
  const std::string path = path_of(fd);
  const int result = next(fd);
  return plain("close", path, [&] { return result; });
}

int rename(const char* from, const char* to) noexcept {
  REAL(rename);
  return plain("rename", absolute(AT_FDCWD, to), [&] { return next(from, to); });
}

int unlink(const char* path) noexcept {
  REAL(unlink);
  return plain("unlink", absolute(AT_FDCWD, path), [&] { return next(path); });
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  REAL(unlinkat);
  return plain("unlink", absolute(folder, path), [&] { return next(folder, path, flags); });
}

int remove(const char* path) noexcept {
  REAL(remove);
  return plain("unlink", absolute(AT_FDCWD, path), [&] { return next(path); });
}

int mkdir(const char* path, mode_t mode) noexcept {
  REAL(mkdir);
  return plain("mkdir", absolute(AT_FDCWD, path), [&] { return next(path, mode); });
}

int fcntl64(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  void* argument = va_arg(list, void*);
  va_end(list);
  REAL(fcntl64);
  if (command != F_OFD_SETLK) return next(fd, command, argument);
  return plain("lock", path_of(fd), [&] { return next(fd, command, argument); });
}

int fcntl(int fd, int command, ...) {
  va_list list;
  va_start(list, command);
  void* argument = va_arg(list, void*);
  va_end(list);
  REAL(fcntl);
  if (command != F_OFD_SETLK) return next(fd, command, argument);
  return plain("lock", path_of(fd), [&] { return next(fd, command, argument); });
}

}  // extern "C"
