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
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "llmcodec/status.h"

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
    using Token = std::shared_ptr<Item>;
    const auto source = [this](tbb::flow_control& control) -> Token {
      Token token = failed_ ? nullptr : next();
      if (token == nullptr) control.stop();
      return token;
    };
    const auto middle = [this](Token token) {
      if (!failed_) note(work(*token));
      return token;
    };
    const auto sink = [this](Token token) {
      if (!failed_) note(take(*token));
    };
    arena.execute([&] {
      tbb::parallel_pipeline(threads + 2,
                             tbb::make_filter<void, Token>(tbb::filter_mode::serial_in_order, source) &
                                 tbb::make_filter<Token, Token>(tbb::filter_mode::parallel, middle) &
                                 tbb::make_filter<Token, void>(tbb::filter_mode::serial_in_order, sink));
    });
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

  std::shared_ptr<Item> next() {
    Result<std::optional<Item>> item = make();
    if (!item.is_ok()) note(Status(std::move(item).error()));
    if (!item.is_ok() || !item.value().has_value()) return nullptr;
    return std::make_shared<Item>(std::move(*item.value()));
  }
  void note(Status status) {
    if (status.is_ok()) return;
    const std::lock_guard lock(mutex_);
    if (!first_error_) first_error_ = std::move(status).error();
    failed_ = true;
  }
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
