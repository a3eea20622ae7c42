// SPDX-License-Identifier: BSD-3-Clause
#include "interrupt.h"

#include <atomic>
#include <csignal>

namespace llmcodec::cli {
namespace {

std::atomic<bool> interrupt_flag = false;
static_assert(std::atomic<bool>::is_always_lock_free);  // what a signal handler may touch

void set_flag(int) {
  interrupt_flag = true;
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

bool interrupted() {
  return interrupt_flag;
}

}  // namespace llmcodec::cli
