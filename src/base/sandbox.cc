// SPDX-License-Identifier: BSD-3-Clause
#include "base/sandbox.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>

#include "base/error.h"

namespace llmcodec {
namespace {

// Where programs have their interpreter, libraries and the description of the processor, on Debian and its like,
// Nix, Guix and Homebrew. What is not there is left out.
constexpr const char* kSystemFiles[] = {"/usr",
                                        "/bin",
                                        "/lib",
                                        "/lib32",
                                        "/lib64",
                                        "/etc/ld.so.cache",
                                        "/etc/ld.so.conf",
                                        "/etc/ld.so.conf.d",
                                        "/nix/store",
                                        "/gnu/store",
                                        "/home/linuxbrew/.linuxbrew",
                                        "/sys/devices/system",
                                        "/proc/cpuinfo",
                                        "/dev/null",
                                        "/dev/urandom"};

// What a program that computes needs: memory, threads, time, the descriptors it has, files to read. Whatever is
// not here fails with ENOSYS, as on a kernel without it, so that libraries take their next best way. open and
// openat, prctl, prlimit64 and clone are allowed below, for some arguments.
constexpr int kCalls[] = {
    // descriptors and files
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64), SCMP_SYS(preadv),
    SCMP_SYS(close), SCMP_SYS(lseek), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(fcntl),
    SCMP_SYS(pipe), SCMP_SYS(pipe2), SCMP_SYS(eventfd2), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select),
    SCMP_SYS(pselect6), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
    SCMP_SYS(epoll_pwait), SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
    SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64), SCMP_SYS(getcwd),
    SCMP_SYS(fadvise64),
    // memory
    SCMP_SYS(brk), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise),
    SCMP_SYS(mincore), SCMP_SYS(mbind), SCMP_SYS(get_mempolicy), SCMP_SYS(set_mempolicy),
    SCMP_SYS(membarrier),
    // threads, signals to itself, time
    SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(get_robust_list), SCMP_SYS(rseq),
    SCMP_SYS(set_tid_address), SCMP_SYS(gettid), SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler), SCMP_SYS(sched_get_priority_max),
    SCMP_SYS(sched_get_priority_min), SCMP_SYS(getpriority), SCMP_SYS(getcpu), SCMP_SYS(arch_prctl),
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack),
    SCMP_SYS(restart_syscall), SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times),
    // the process and the system
    SCMP_SYS(execve), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(getpid), SCMP_SYS(getppid),
    SCMP_SYS(getpgrp), SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
    SCMP_SYS(getrlimit), SCMP_SYS(getrusage), SCMP_SYS(getrandom), SCMP_SYS(sysinfo), SCMP_SYS(uname)};

// What the kernel offers, found out once.
struct Means {
  std::string obstacle;      // why there can be no sandbox; empty: there can
  uint64_t file_rights = 0;  // every right that Landlock controls here
  std::vector<sock_filter> filter;
};

std::string reason(const char* what) {
  return fmt::format("{}: {}", what, std::strerror(errno));
}

// Rights that this kernel's Landlock knows; 0 with errno when it has none. An older header does not name the
// later ones (14: truncating, 15: ioctl on devices), which are bits above the named.
uint64_t landlock_rights() {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  if (version < 1) return 0;
  const int count = version == 1 ? 13 : version == 2 ? 14 : version < 5 ? 15 : 16;
  return (uint64_t{1} << count) - 1;
}

bool allow_with_arguments(scmp_filter_ctx filter) {
  constexpr int kNoReading = O_ACCMODE | O_CREAT | O_TRUNC;
  return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
                          SCMP_A1(SCMP_CMP_MASKED_EQ, kNoReading, O_RDONLY)) == 0 &&
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
                          SCMP_A2(SCMP_CMP_MASKED_EQ, kNoReading, O_RDONLY)) == 0 &&
         // Threads, not processes. clone3 keeps its flags in memory, where no filter sees them; without it
         // the C libraries use clone.
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                          SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)) == 0 &&
         // Its threads' names; not that it outlives us.
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME, 0)) ==
             0 &&
         // Asking for limits, not setting those of others.
         seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0, 0)) == 0;
}

// The program for the kernel; empty, with errno, on failure.
std::vector<sock_filter> make_filter() {
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(seccomp_init(SCMP_ACT_ERRNO(ENOSYS)),
                                                                seccomp_release);
  errno = EINVAL;  // libseccomp's calls return it instead
  if (filter == nullptr || seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2) != 0) return {};
  for (const int call : kCalls) {
    if (seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0) != 0) return {};
  }
  if (!allow_with_arguments(filter.get())) return {};
  const Descriptor file(::memfd_create("filter", MFD_CLOEXEC));
  if (!file.is_open() || seccomp_export_bpf(filter.get(), file.get()) != 0) return {};
  std::vector<sock_filter> program(static_cast<size_t>(::lseek(file.get(), 0, SEEK_END)) /
                                   sizeof(sock_filter));
  const size_t bytes = program.size() * sizeof(sock_filter);
  if (::pread(file.get(), program.data(), bytes, 0) != static_cast<ssize_t>(bytes)) return {};
  return program;
}

Means find_means() {
  Means means;
  const uint32_t action = SECCOMP_RET_ERRNO;
  means.file_rights = landlock_rights();
  if (means.file_rights == 0) {
    means.obstacle = reason("Landlock");
  } else if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) != 0) {
    means.obstacle = reason("seccomp");
  } else if (means.filter = make_filter(); means.filter.empty()) {
    means.obstacle = reason("libseccomp");
  }
  return means;
}

const Means& means() {
  static const Means found = find_means();
  return found;
}

// A path that is not there, or not ours to read, gives nothing to allow.
Status allow_reading(const Descriptor& rules, const std::string& path) {
  const Descriptor target(::open(path.c_str(), O_PATH | O_CLOEXEC));
  struct stat info {};
  if (!target.is_open() || ::fstat(target.get(), &info) != 0) return Status::ok();
  landlock_path_beneath_attr rule{};
  rule.parent_fd = target.get();
  rule.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_EXECUTE;
  if (S_ISDIR(info.st_mode)) rule.allowed_access |= LANDLOCK_ACCESS_FS_READ_DIR;
  if (::syscall(SYS_landlock_add_rule, rules.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
    return errno_error("cannot make the rules of a sandbox").in_file(path);
  return Status::ok();
}

// The folders in which the dynamic loader looks before the system's. The user has set them.
std::vector<std::string> library_path() {
  const char* variable = std::getenv("LD_LIBRARY_PATH");
  std::vector<std::string> folders;
  std::string rest = variable != nullptr ? variable : "";
  for (size_t begin = 0; begin < rest.size();) {
    const size_t end = std::min(rest.find_first_of(":;", begin), rest.size());
    if (end > begin) folders.push_back(rest.substr(begin, end - begin));
    begin = end + 1;
  }
  return folders;
}

// The program, and the libraries that were installed with it: PREFIX/lib of PREFIX/bin/ffmpeg.
std::vector<std::string> files_of(const std::string& program) {
  std::error_code failure;
  const std::filesystem::path path = std::filesystem::canonical(program, failure);
  std::vector<std::string> files = {program};
  if (failure || path.parent_path().filename() != "bin") return files;
  const std::filesystem::path prefix = path.parent_path().parent_path();
  for (const char* folder : {"lib", "lib64"}) files.push_back((prefix / folder).string());
  return files;
}

}  // namespace

const std::string& sandbox_state() {
  static const std::string state =
      means().obstacle.empty() ? "landlock+seccomp" : "none: " + means().obstacle;
  return state;
}

Result<PreparedSandbox> PreparedSandbox::prepare(const Sandbox& policy, const std::string& program) {
  PreparedSandbox sandbox;
  sandbox.address_space_bytes_ = policy.address_space_bytes;
  if (!means().obstacle.empty()) return sandbox;
  landlock_ruleset_attr handled{};
  handled.handled_access_fs = means().file_rights;
  sandbox.file_rules_ =
      Descriptor(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0)));
  if (!sandbox.file_rules_.is_open()) return errno_error("cannot make the rules of a sandbox");
  for (const char* path : kSystemFiles) LLMC_RETURN_IF_ERROR(allow_reading(sandbox.file_rules_, path));
  for (const std::vector<std::string>& paths : {files_of(program), library_path(), policy.readable}) {
    for (const std::string& path : paths) LLMC_RETURN_IF_ERROR(allow_reading(sandbox.file_rules_, path));
  }
  return sandbox;
}

bool PreparedSandbox::enter() const {
  const rlimit memory{address_space_bytes_, address_space_bytes_}, nothing{0, 0};
  if (::setrlimit(RLIMIT_AS, &memory) != 0 || ::setrlimit(RLIMIT_FSIZE, &nothing) != 0 ||
      ::setrlimit(RLIMIT_CORE, &nothing) != 0)
    return false;
  if (!file_rules_.is_open()) return true;
  const sock_fprog program{static_cast<unsigned short>(means().filter.size()),
                           const_cast<sock_filter*>(means().filter.data())};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::syscall(SYS_landlock_restrict_self, file_rules_.get(), 0) == 0 &&
         ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
}

}  // namespace llmcodec
