// SPDX-License-Identifier: BSD-3-Clause
// Wall time since it was made, by a clock that nobody sets.
//
// Example:
//
//   const Stopwatch watch;
//   use(watch.seconds());
#pragma once

#include <chrono>

namespace llmcodec {

class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace llmcodec
