// SPDX-License-Identifier: BSD-3-Clause
#include "interrupt.h"

#include <unistd.h>

#include <atomic>
#include <csignal>

#include "exit_code.h"

namespace llmcodec::cli {
namespace {

std::atomic<bool> interrupt_flag = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // what a signal handler may touch

void set_flag(int) {
  interrupt_flag = true;
}

// Only what a signal handler may call.
void end_on_bus_error(int) {
  constexpr char kMessage[] =
      "llmcodec: error: an input file became shorter, or could not be read, while it was in use\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1);
  ::_exit(exit_code(ErrorKind::kIo));
}

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = set_flag;
  // The second signal finds the default: the end.
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigemptyset(&action.sa_mask);
  for (const int number : {SIGINT, SIGTERM}) sigaction(number, &action, nullptr);
}

void explain_bus_errors() {
  struct sigaction action = {};
  action.sa_handler = end_on_bus_error;
  sigaction(SIGBUS, &action, nullptr);
}

bool interrupted() {
  return interrupt_flag;
}

}  // namespace llmcodec::cli
