// SPDX-License-Identifier: BSD-3-Clause
#include "call.h"

#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>

#include "base/error.h"

namespace llmcodec::python {

ProgressFunction Call::progress() {
  if (progress_.is_none()) return {};
  return [this](const Progress& event) {
    const std::lock_guard lock(mutex_);
    if (!events_.empty() && std::strcmp(events_.back().phase, event.phase) == 0) events_.pop_back();
    events_.push_back(event);
  };
}

void Call::wait_for(const std::function<void()>& work) {
  std::thread worker;
  try {
    worker = std::thread([&] { work_and_say_so(work); });
  } catch (const std::system_error& failure) {
    raise(error(ErrorKind::kLimit, "no thread is to be had: {}", failure.what()));
  }
  while (!wait_a_moment()) look_around();
  worker.join();
  look_around();
  if (raised_) throw nb::python_error(std::move(*raised_));
  if (failure_) std::rethrow_exception(failure_);
}

void Call::work_and_say_so(const std::function<void()>& work) {
  std::exception_ptr failure;
  try {
    work();
  } catch (...) {
    failure = std::current_exception();
  }
  // The mutex is held while the waiting thread is told, which else could be through with this object before it is.
  const std::lock_guard lock(mutex_);
  failure_ = failure;
  done_ = true;
  changed_.notify_one();
}

// True when the work is done.
bool Call::wait_a_moment() {
  const nb::gil_scoped_release released;
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::milliseconds(50), [this] { return done_; });
}

void Call::look_around() {
  if (raised_) return;
  try {
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    hand_over_progress();
  } catch (nb::python_error& failure) {
    raised_.emplace(std::move(failure));
    stop_ = true;
    if (when_stopped_) when_stopped_();
  }
}

void Call::hand_over_progress() {
  std::vector<Progress> events;
  {
    const std::lock_guard lock(mutex_);
    events.swap(events_);
  }
  for (const Progress& event : events) progress_(event.phase, event.done, event.total, event.tensor.c_str());
}

}  // namespace llmcodec::python
