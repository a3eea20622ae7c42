// SPDX-License-Identifier: BSD-3-Clause
#include "base/subprocess.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/descriptor.h"
#include "base/error.h"

extern char** environ;

namespace llmcodec {
namespace {

using Clock = std::chrono::steady_clock;

constexpr size_t kErrorTextBytes = 16384;
constexpr size_t kPipeBytes = 1 << 20;

struct Pipe {
  Descriptor read_end, write_end;
};

// Descriptors 0 to 2 are free when the caller closed its own standard streams; the child's dup2 calls would
// then overwrite one pipe with another.
Status raise_above_standard(Descriptor* end) {
  if (end->get() > 2) return Status::ok();
  const int raised = ::fcntl(end->get(), F_DUPFD_CLOEXEC, 3);
  if (raised < 0) return errno_error("cannot duplicate a pipe");
  *end = Descriptor(raised);
  return Status::ok();
}

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return errno_error("cannot create a pipe");
  Pipe made{Descriptor(ends[0]), Descriptor(ends[1])};
  LLMC_RETURN_IF_ERROR(raise_above_standard(&made.read_end));
  LLMC_RETURN_IF_ERROR(raise_above_standard(&made.write_end));
  ::fcntl(made.write_end.get(), F_SETPIPE_SZ, kPipeBytes);  // fewer wake-ups; refusal does no harm
  return made;
}

struct Pipes {
  Pipe input, output, error;
  Pipe exec_failure;  // closed by a successful exec, else carries errno
};

Result<Pipes> make_pipes() {
  Pipes pipes;
  for (Pipe* pipe : {&pipes.input, &pipes.output, &pipes.error, &pipes.exec_failure}) {
    LLMC_ASSIGN_OR_RETURN(*pipe, make_pipe());
  }
  return pipes;
}

// Everything exec needs, prepared before fork: between fork and exec nothing may allocate.
struct Command {
  std::string path;
  std::vector<std::string> environment_text;
  std::vector<char*> argv, envp;
  std::optional<PreparedSandbox> sandbox;
};

// Whether a variable of ours goes to a child. PATH: scripts look for programs there. LD_LIBRARY_PATH: a user who
// has set it may have a program that does not start without it, and the libraries in it are the user's choice.
bool is_kept(const std::string& entry, const std::vector<std::string>& more) {
  const std::string name = entry.substr(0, entry.find('='));
  if (name == "PATH" || name == "LD_LIBRARY_PATH") return true;
  return std::any_of(more.begin(), more.end(), [&](const std::string& kept) {
    return kept.ends_with('*') ? name.starts_with(kept.substr(0, kept.size() - 1)) : name == kept;
  });
}

Result<Command> make_command(const ProcessOptions& options) {
  if (options.arguments.empty()) return error(ErrorKind::kInvalidArgument, "no program to run");
  Command command{find_program(options.arguments[0]), {"LANG=C"}, {}, {}, {}};
  if (command.path.empty()) {
    return error(ErrorKind::kUnsupported, "program '{}' not found or not executable", options.arguments[0]);
  }
  for (const std::string& argument : options.arguments)
    command.argv.push_back(const_cast<char*>(argument.c_str()));
  command.argv.push_back(nullptr);
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    if (is_kept(*entry, options.kept_variables)) command.environment_text.emplace_back(*entry);
  }
  for (std::string& entry : command.environment_text) command.envp.push_back(entry.data());
  command.envp.push_back(nullptr);
  if (options.sandbox) {
    LLMC_ASSIGN_OR_RETURN(command.sandbox, PreparedSandbox::prepare(*options.sandbox, command.path));
  }
  return command;
}

// A child that writes to a pipe closed by an early exit must not kill us: SIGPIPE is blocked in this thread
// only, and the one our own write raised is taken away before unblocking.
class SigpipeBlock {
 public:
  SigpipeBlock() {
    sigset_t pending;
    sigemptyset(&pipe_only_);
    sigaddset(&pipe_only_, SIGPIPE);
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_only_, &previous_);
  }
  ~SigpipeBlock() {
    const timespec no_wait{};
    if (!was_pending_) sigtimedwait(&pipe_only_, nullptr, &no_wait);
    pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
  }
  SigpipeBlock(const SigpipeBlock&) = delete;
  SigpipeBlock& operator=(const SigpipeBlock&) = delete;
  const sigset_t& previous() const { return previous_; }

 private:
  sigset_t pipe_only_, previous_;
  bool was_pending_ = false;
};

// What a child that could not run its program tells us.
struct StartFailure {
  bool in_sandbox = false;
  int code = 0;  // errno; 0: the program runs
};

// Runs in the child: async-signal-safe calls only.
[[noreturn]] void exec_child(const Pipes& pipes, const Command& command, const sigset_t& mask, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(127);  // the parent died before prctl
  ::dup2(pipes.input.read_end.get(), STDIN_FILENO);
  ::dup2(pipes.output.write_end.get(), STDOUT_FILENO);
  ::dup2(pipes.error.write_end.get(), STDERR_FILENO);
  // Ours are closed by exec anyway; this takes those that other code in this process has left open. A kernel
  // without it has no Landlock either, which is told.
  ::syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC);
  ::signal(SIGPIPE, SIG_DFL);
  ::sigprocmask(SIG_SETMASK, &mask, nullptr);
  StartFailure failure;
  failure.in_sandbox = command.sandbox && !command.sandbox->enter();
  if (!failure.in_sandbox) ::execve(command.path.c_str(), command.argv.data(), command.envp.data());
  failure.code = errno;
  [[maybe_unused]] const ssize_t written =
      ::write(pipes.exec_failure.write_end.get(), &failure, sizeof failure);
  ::_exit(127);
}

// The running child: killed and reaped unless wait_until() succeeded.
class Child {
 public:
  explicit Child(pid_t pid) : pid_(pid) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
  }

  // True when the child has ended and `result` has its exit code; false at the deadline.
  bool wait_until(Clock::time_point deadline, ProcessResult* result) {
    int status = 0;
    for (long nanoseconds = 50'000;; nanoseconds = std::min(2 * nanoseconds, 10'000'000L)) {
      const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
      if (ended == pid_) break;
      if (Clock::now() >= deadline) return false;
      const timespec pause{0, nanoseconds};
      ::nanosleep(&pause, nullptr);
    }
    pid_ = -1;
    result->exit_code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    return true;
  }

 private:
  pid_t pid_;
};

// Our ends of the child's three streams.
class Exchange {
 public:
  Exchange(Pipes* pipes, const ProcessOptions& options, ProcessResult* result)
      : input_(std::move(pipes->input.write_end)),
        output_(std::move(pipes->output.read_end)),
        error_(std::move(pipes->error.read_end)),
        unsent_(options.input),
        options_(options),
        result_(result),
        buffer_(kPipeBytes / 4) {
    for (const Descriptor* end : {&input_, &output_, &error_}) ::fcntl(end->get(), F_SETFL, O_NONBLOCK);
    if (unsent_.empty()) input_.close();
  }

  // Until the child has closed both of its outputs.
  Status run_until(Clock::time_point deadline) {
    while (output_.is_open() || error_.is_open()) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
      if (left <= 0) return timeout_error();
      if (options_.cancelled && options_.cancelled()) return error(ErrorKind::kInterrupted, "interrupted");
      // poll() skips negative descriptors, so closed streams need no bookkeeping.
      std::array<pollfd, 3> polled{pollfd{input_.get(), POLLOUT, 0}, pollfd{output_.get(), POLLIN, 0},
                                   pollfd{error_.get(), POLLIN, 0}};
      const int ready = ::poll(polled.data(), polled.size(),
                               static_cast<int>(std::min<int64_t>(left, options_.cancelled ? 200 : 60'000)));
      if (ready < 0 && errno != EINTR) return errno_error("cannot wait for a child process");
      if (ready <= 0) continue;
      if (polled[0].revents != 0) LLMC_RETURN_IF_ERROR(send());
      if (polled[1].revents != 0) LLMC_RETURN_IF_ERROR(receive_output());
      if (polled[2].revents != 0) LLMC_RETURN_IF_ERROR(receive_error_text());
    }
    return Status::ok();
  }

  Error timeout_error() const {
    return error(ErrorKind::kLimit, "'{}' did not finish within {} seconds", options_.arguments[0],
                 options_.timeout_seconds);
  }

 private:
  static bool try_again() { return errno == EAGAIN || errno == EINTR; }

  Status send() {
    const ssize_t n = ::write(input_.get(), unsent_.data(), unsent_.size());
    if (n < 0 && try_again()) return Status::ok();
    if (n < 0 && errno != EPIPE) return errno_error("cannot write to a child process");
    if (n > 0) unsent_ = unsent_.subspan(static_cast<size_t>(n));
    if (n < 0 || unsent_.empty())
      input_.close();  // EPIPE: the child's exit code tells why it stopped reading
    return Status::ok();
  }

  // Fills buffer_; 0 at the end of the stream, which is then closed, and also when there is nothing yet.
  Result<size_t> receive(Descriptor* end) {
    const ssize_t n = ::read(end->get(), buffer_.data(), buffer_.size());
    if (n < 0 && try_again()) return size_t{0};
    if (n < 0) return errno_error("cannot read from a child process");
    if (n == 0) end->close();
    return static_cast<size_t>(n);
  }

  Status receive_output() {
    LLMC_ASSIGN_OR_RETURN(const size_t n, receive(&output_));
    if (n > options_.max_output_bytes - result_->output.size()) {
      return error(ErrorKind::kLimit, "'{}' wrote more than {} bytes", options_.arguments[0],
                   options_.max_output_bytes);
    }
    result_->output.insert(result_->output.end(), buffer_.begin(),
                           buffer_.begin() + static_cast<ptrdiff_t>(n));
    return Status::ok();
  }

  Status receive_error_text() {
    LLMC_ASSIGN_OR_RETURN(const size_t n, receive(&error_));
    const std::string_view piece(reinterpret_cast<const char*>(buffer_.data()), n);
    if (options_.error_sink) options_.error_sink(piece);
    result_->error_text.append(piece);
    if (result_->error_text.size() > kErrorTextBytes) {
      result_->error_text.erase(0, result_->error_text.size() - kErrorTextBytes);
    }
    return Status::ok();
  }

  Descriptor input_, output_, error_;
  std::span<const std::byte> unsent_;
  const ProcessOptions& options_;
  ProcessResult* result_;
  std::vector<std::byte> buffer_;
};

// Waits until the child's program runs or cannot.
Status check_start(const Pipe& pipe, const std::string& name) {
  StartFailure failure;
  ssize_t n = 0;
  do {
    n = ::read(pipe.read_end.get(), &failure, sizeof failure);
  } while (n < 0 && errno == EINTR);
  if (n != static_cast<ssize_t>(sizeof failure)) return Status::ok();
  return error(ErrorKind::kUnsupported, "{} '{}': {}", failure.in_sandbox ? "cannot confine" : "cannot run",
               name, std::strerror(failure.code));
}

bool is_program(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

Clock::time_point deadline_after(Clock::time_point start, double seconds) {
  constexpr double kYear = 366 * 86400.0;  // keeps the conversion in range for "no limit" values
  const double bounded = seconds > 0 ? std::min(seconds, kYear) : 0;
  return start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(bounded));
}

}  // namespace

Result<ProcessResult> run_process(const ProcessOptions& options) {
  LLMC_ASSIGN_OR_RETURN(const Command command, make_command(options));
  LLMC_ASSIGN_OR_RETURN(Pipes pipes, make_pipes());

  const SigpipeBlock sigpipe;
  const auto deadline = deadline_after(Clock::now(), options.timeout_seconds);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return errno_error("cannot start '" + options.arguments[0] + "'");
  if (pid == 0) exec_child(pipes, command, sigpipe.previous(), parent);

  Child child(pid);
  pipes.input.read_end.close();
  pipes.output.write_end.close();
  pipes.error.write_end.close();
  pipes.exec_failure.write_end.close();
  LLMC_RETURN_IF_ERROR(check_start(pipes.exec_failure, options.arguments[0]));

  ProcessResult result;
  Exchange exchange(&pipes, options, &result);
  LLMC_RETURN_IF_ERROR(exchange.run_until(deadline));
  if (!child.wait_until(deadline, &result)) return exchange.timeout_error();
  return result;
}

std::string find_program(const std::string& name) {
  if (name.empty()) return {};
  if (name.find('/') != std::string::npos) return is_program(name) ? name : std::string();
  const char* path = std::getenv("PATH");
  std::string rest = path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin";
  for (size_t begin = 0; begin <= rest.size();) {
    const size_t end = std::min(rest.find(':', begin), rest.size());
    const std::string folder = end == begin ? "." : rest.substr(begin, end - begin);
    if (is_program(folder + "/" + name)) return folder + "/" + name;
    begin = end + 1;
  }
  return {};
}

}  // namespace llmcodec
