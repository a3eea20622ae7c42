// SPDX-License-Identifier: BSD-3-Clause
// A program that tries one thing which a sandbox must refuse, for sandbox_test.cc. Its exit code is errno, 0 when
// the thing was allowed.
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace {

bool try_socket(int family) {
  return ::socket(family, SOCK_STREAM, 0) >= 0;
}

bool try_fork() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  return child > 0 && ::waitpid(child, nullptr, 0) == child;
}

bool try_memory(size_t megabytes) {
  void* block = std::malloc(megabytes << 20);
  std::free(block);
  return block != nullptr;
}

bool try_thread() {
  int value = 0;
  std::thread([&value] { value = 1; }).join();
  return value == 1;
}

bool copy_input() {
  char buffer[4096];
  ssize_t n = 0;
  while ((n = ::read(0, buffer, sizeof buffer)) > 0) {
    if (::write(1, buffer, static_cast<size_t>(n)) != n) return false;
  }
  return n == 0;
}

bool attempt(const std::string& what, const char* value) {
  if (what == "read") return ::open(value, O_RDONLY) >= 0;
  if (what == "list") return ::open(value, O_RDONLY | O_DIRECTORY) >= 0;
  if (what == "write") return ::open(value, O_WRONLY) >= 0;
  if (what == "truncate-on-open") return ::open(value, O_RDONLY | O_TRUNC) >= 0;
  if (what == "truncate") return ::truncate(value, 0) == 0;
  if (what == "create") return ::open((std::string(value) + ".new").c_str(), O_WRONLY | O_CREAT, 0600) >= 0;
  if (what == "mkdir") return ::mkdir((std::string(value) + ".folder").c_str(), 0700) == 0;
  if (what == "rename") return ::rename(value, (std::string(value) + ".old").c_str()) == 0;
  if (what == "unlink") return ::unlink(value) == 0;
  if (what == "chmod") return ::chmod(value, 0777) == 0;
  if (what == "inet") return try_socket(AF_INET);
  if (what == "inet6") return try_socket(AF_INET6);
  if (what == "unix") return try_socket(AF_UNIX);
  if (what == "fork") return try_fork();
  if (what == "signal") return ::kill(::getppid(), 0) == 0;
  if (what == "memory") return try_memory(std::strtoul(value, nullptr, 10));
  if (what == "thread") return try_thread();
  if (what == "copy") return copy_input();
  errno = EINVAL;
  return false;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return EINVAL;
  return attempt(argv[1], argv[2]) ? 0 : errno;
}
