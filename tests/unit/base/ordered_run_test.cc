// SPDX-License-Identifier: BSD-3-Clause
#include "base/ordered_run.h"

#include <gtest/gtest.h>

#include <chrono>
#include <vector>

#include "base/error.h"

namespace llmcodec {
namespace {

struct Item {
  int number = 0;
  int squared = 0;
};

struct Recorded {
  OrderedRun<Item> run;
  std::vector<int> taken;
  std::atomic<int> in_flight = 0, most_in_flight = 0;
  int made = 0;

  explicit Recorded(int count) {
    run.make = [this, count]() -> Result<std::optional<Item>> {
      if (made == count) return std::optional<Item>();
      most_in_flight = std::max<int>(most_in_flight, ++in_flight);
      return std::optional<Item>(Item{made++, 0});
    };
    run.work = [](Item& item) {
      if (item.number % 7 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
      item.squared = item.number * item.number;
      return Status::ok();
    };
    run.take = [this](Item& item) {
      EXPECT_EQ(item.squared, item.number * item.number);
      taken.push_back(item.number);
      --in_flight;
      return Status::ok();
    };
  }
};

// More threads than cores: the program's right, and what shows that they do not disturb each other.
class ManyThreads {
  oneapi::tbb::global_control limit_{oneapi::tbb::global_control::max_allowed_parallelism, 5};
};

TEST(OrderedRun, items_are_taken_in_order_whatever_the_threads) {
  const ManyThreads allowed;
  for (const unsigned threads : {1u, 2u, 5u}) {
    Recorded recorded(200);
    ASSERT_TRUE(recorded.run.run(threads).is_ok());
    ASSERT_EQ(recorded.taken.size(), 200u);
    EXPECT_TRUE(std::ranges::is_sorted(recorded.taken));
    EXPECT_LE(recorded.most_in_flight, static_cast<int>(threads) + 2) << "memory is bounded by this";
  }
}

TEST(OrderedRun, no_items_are_no_error) {
  Recorded recorded(0);
  EXPECT_TRUE(recorded.run.run(2).is_ok());
}

TEST(OrderedRun, an_error_anywhere_ends_the_run_and_is_the_one_reported) {
  for (int stage = 0; stage < 3; ++stage) {
    Recorded recorded(100000);
    const auto fail_at_50 = [](int number) -> Status {
      if (number == 50) return error(ErrorKind::kLimit, "fifty");
      return Status::ok();
    };
    const auto make = recorded.run.make;
    const auto take = recorded.run.take;
    if (stage == 0)
      recorded.run.make = [&]() -> Result<std::optional<Item>> {
        LLMC_RETURN_IF_ERROR(fail_at_50(recorded.made));
        return make();
      };
    if (stage == 1) {
      recorded.run.work = [&](Item& item) -> Status {
        item.squared = item.number * item.number;
        return fail_at_50(item.number);
      };
    }
    if (stage == 2)
      recorded.run.take = [&](Item& item) -> Status {
        LLMC_RETURN_IF_ERROR(fail_at_50(item.number));
        return take(item);
      };
    const Status status = recorded.run.run(3);
    ASSERT_FALSE(status.is_ok());
    EXPECT_EQ(status.error().message, "fifty");
    EXPECT_LE(recorded.taken.size(), 50u) << "nothing after the failed item is taken over";
    EXPECT_LT(recorded.made, 100);
  }
}

}  // namespace
}  // namespace llmcodec
