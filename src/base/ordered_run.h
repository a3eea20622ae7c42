// SPDX-License-Identifier: BSD-3-Clause
// Work on a sequence of items with several threads and bounded memory: items are made in order, worked on in
// any order, and taken over in order, so that the result does not depend on the number of threads. The first
// error ends it all.
#pragma once

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/parallel_pipeline.h>
#include <oneapi/tbb/task_arena.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <typeinfo>
#include <vector>

#include "base/error.h"

namespace llmcodec {

// TBB's limit belongs to the whole process, so to the program that uses this library: it is looked at (TBB complains on
// standard error of arenas that are larger), never set. One thread per core, unless the program says otherwise.
inline unsigned allowed_threads() {
  using Limits = oneapi::tbb::global_control;
  return static_cast<unsigned>(std::max<size_t>(1, Limits::active_value(Limits::max_allowed_parallelism)));
}

inline unsigned thread_count(unsigned asked) {
  return asked != 0 ? asked : std::max(1u, std::thread::hardware_concurrency());
}

// What a thread did before give() comes before what another does after take(). TBB sees to that itself, but its library
// is not compiled for ThreadSanitizer, which knows only what it sees here.
class HandOver {
 public:
  void take() const { static_cast<void>(turns_.load(std::memory_order_acquire)); }
  void give() { turns_.fetch_add(1, std::memory_order_release); }

 private:
  std::atomic<unsigned> turns_ = 0;
};

// Calls `run`. TBB throws a bare runtime_error where the system lets it start no thread, for want of memory or by a limit
// on processes; everything else that is thrown goes on.
template <class Run>
Status run_on_threads(const Run& run) {
  try {
    run();
    return Status::ok();
  } catch (const std::runtime_error& failure) {
    if (typeid(failure) != typeid(std::runtime_error)) throw;
    return error(ErrorKind::kLimit, "the system starts no more threads ({}): ask for fewer with --threads",
                 failure.what());
  }
}

template <class Item>
struct OrderedRun {
  std::function<Result<std::optional<Item>>()> make;  // serial, in order; nullopt: no more
  std::function<Status(Item&)> work;                  // parallel
  std::function<Status(Item&)> take;                  // serial, in order

  Status run(unsigned threads) {
    namespace tbb = oneapi::tbb;
    threads = std::min(thread_count(threads), allowed_threads());
    if (threads == 1) return run_here();
    tbb::task_arena arena(static_cast<int>(threads));
    // Items in flight, which leave in the order in which they came: each finds its place empty.
    std::vector<Slot> slots(threads + 2);
    size_t made = 0;
    started_.give();
    const auto source = [&](tbb::flow_control& control) -> Slot* {
      started_.take();
      Slot* slot = &slots[made++ % slots.size()];
      slot->turn.take();
      if (!failed_) slot->item = next();
      if (!slot->item) control.stop();
      slot->turn.give();
      started_.give();
      return slot;
    };
    const auto middle = [this](Slot* slot) {
      slot->turn.take();
      if (!failed_) note(work(*slot->item));
      slot->turn.give();
      return slot;
    };
    const auto sink = [this](Slot* slot) {
      slot->turn.take();
      taken_.take();
      if (!failed_) note(take(*slot->item));
      slot->item.reset();
      slot->turn.give();
      taken_.give();
    };
    LLMC_RETURN_IF_ERROR(run_on_threads([&] {
      arena.execute([&] {
        tbb::parallel_pipeline(slots.size(),
                               tbb::make_filter<void, Slot*>(tbb::filter_mode::serial_in_order, source) &
                                   tbb::make_filter<Slot*, Slot*>(tbb::filter_mode::parallel, middle) &
                                   tbb::make_filter<Slot*, void>(tbb::filter_mode::serial_in_order, sink));
      });
    }));
    started_.take();
    taken_.take();
    if (first_error_) return std::move(*first_error_);
    return Status::ok();
  }

 private:
  // On the caller's thread alone: a child of fork() has no others of its parent's.
  Status run_here() {
    for (;;) {
      LLMC_ASSIGN_OR_RETURN(std::optional<Item> item, make());
      if (!item) return Status::ok();
      LLMC_RETURN_IF_ERROR(work(*item));
      LLMC_RETURN_IF_ERROR(take(*item));
    }
  }

  struct Slot {
    std::optional<Item> item;
    HandOver turn;
  };

  std::optional<Item> next() {
    Result<std::optional<Item>> item = make();
    if (item.is_ok()) return std::move(item).value();
    note(Status(std::move(item).error()));
    return std::nullopt;
  }
  void note(Status status) {
    if (status.is_ok()) return;
    const std::lock_guard lock(mutex_);
    if (!first_error_) first_error_ = std::move(status).error();
    failed_ = true;
  }
  HandOver started_, taken_;  // of what is serial
  std::atomic<bool> failed_ = false;
  std::mutex mutex_;
  std::optional<Error> first_error_;
};

// work(i) for i in [0, count), any order.
inline Status for_all(unsigned threads, size_t count, const std::function<Status(size_t)>& work) {
  size_t next = 0;
  OrderedRun<size_t> run;
  run.make = [&]() -> Result<std::optional<size_t>> {
    return next < count ? std::optional<size_t>(next++) : std::nullopt;
  };
  run.work = [&](size_t& i) { return work(i); };
  run.take = [](size_t&) { return Status::ok(); };
  return run.run(threads);
}

}  // namespace llmcodec
