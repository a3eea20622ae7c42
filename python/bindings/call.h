// SPDX-License-Identifier: BSD-3-Clause
// A call of the library that may take long: it works on a thread of its own, and the Python thread that made it waits
// without the GIL. Twenty times a second that thread looks for signals and hands progress over. An exception of a signal
// handler (KeyboardInterrupt) or of the progress function stops the work in good order and is then raised.
//
// Example (const CompressOptions& given, nb::object progress):
//
//   Call call(progress);
//   CompressOptions options = given;
//   call.watch(&options.control);
//   const CompressReport report = call.run([&] { return compress(options); });
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "llmcodec/model.h"
#include "raise.h"

namespace llmcodec::python {

class Call {
 public:
  // `progress`: None, or called as progress(phase, done, total, tensor).
  explicit Call(nb::object progress = nb::none()) : progress_(std::move(progress)) {}

  // What the work is told to look at and to report to; they live as long as the call.
  std::function<bool()> cancelled() {
    return [this] { return stop_.load(std::memory_order_relaxed); };
  }
  ProgressFunction progress();
  void watch(Control* control) {
    control->cancelled = cancelled();
    control->progress = progress();
  }

  // What is to be done, with the GIL, at the first exception of a signal handler or of the progress function, for work that does
  // not look whether it was cancelled: a read that waits for a server.
  void when_stopped(std::function<void()> stop) { when_stopped_ = std::move(stop); }

  // Runs `work`, which returns a Status or a Result, and gives its value or raises.
  template <class Work>
  auto run(const Work& work) {
    std::optional<decltype(work())> result;
    wait_for([&] { result.emplace(work()); });
    if constexpr (std::is_same_v<decltype(work()), Status>) {
      raise_unless(*result);
    } else {
      return value_or_raise(std::move(*result));
    }
  }

 private:
  void wait_for(const std::function<void()>& work);
  void work_and_say_so(const std::function<void()>& work);
  bool wait_a_moment();
  void look_around();
  void hand_over_progress();

  nb::object progress_;
  std::function<void()> when_stopped_;
  std::atomic<bool> stop_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;             // mutex_
  std::exception_ptr failure_;    // mutex_; memory that was not to be had
  std::vector<Progress> events_;  // mutex_; the last of each phase
  std::optional<nb::python_error> raised_;
};

}  // namespace llmcodec::python
