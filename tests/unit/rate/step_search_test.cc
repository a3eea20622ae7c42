// SPDX-License-Identifier: BSD-3-Clause
#include "rate/step_search.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace llmcodec {
namespace {

StepSearch for_bits(double target) {
  StepSearch search;
  search.target = target;
  search.guess = -2;
  search.tolerance = 0.002;
  return search;
}

struct Counted {
  std::function<double(double)> curve;
  int evaluations = 0;
  Result<StepFound> search(const StepSearch& numbers) {
    return search_step(numbers, [this](double x) -> Result<double> {
      ++evaluations;
      return curve(x);
    });
  }
};

TEST(StepSearch, a_line_takes_few_evaluations) {
  Counted line{[](double x) { return 1.3 - 0.9 * x; }};
  const auto found = line.search(for_bits(3));
  ASSERT_TRUE(found.is_ok());
  EXPECT_TRUE(found->reached);
  EXPECT_NEAR(found->value, 3, 0.002);
  EXPECT_NEAR(found->slope, -0.9, 0.01);
  EXPECT_LE(line.evaluations, 4);
}

TEST(StepSearch, a_bent_curve_is_met_all_the_same) {
  for (const double target : {0.05, 0.7, 2.0, 6.5}) {
    Counted curve{[](double x) { return std::log2(1 + std::exp2(-1.5 * x)); }};
    const auto found = curve.search(for_bits(target));
    ASSERT_TRUE(found.is_ok());
    EXPECT_NEAR(found->value, target, 0.02) << target;
  }
}

TEST(StepSearch, a_target_beyond_the_ends_is_told) {
  Counted curve{[](double x) { return 2 - 0.1 * x; }};
  const auto found = curve.search(for_bits(9));
  ASSERT_TRUE(found.is_ok());
  EXPECT_FALSE(found->reached);
  EXPECT_TRUE(found->out_of_range);
  EXPECT_EQ(found->log2_step, -12);
}

TEST(StepSearch, a_jump_over_the_target_ends_and_gives_the_nearer_side) {
  Counted jump{[](double x) { return x < -1 ? 4.0 : 2.5; }};
  const auto found = jump.search(for_bits(3));
  ASSERT_TRUE(found.is_ok());
  EXPECT_FALSE(found->reached);
  EXPECT_EQ(found->value, 2.5);
  EXPECT_LE(jump.evaluations, 8);
}

TEST(StepSearch, last_bits_of_the_target_do_not_change_the_step) {
  const auto run = [](double target) {
    Counted line{[](double x) { return 1.3 - 0.9 * x; }};
    return line.search(for_bits(target)).value().log2_step;
  };
  EXPECT_EQ(run(3.0), run(3.0 + 1e-12));
}

TEST(StepSearch, an_error_of_the_function_ends_it) {
  const auto found = search_step(
      for_bits(3), [](double) -> Result<double> { return error(ErrorKind::kInterrupted, "stopped"); });
  ASSERT_FALSE(found.is_ok());
  EXPECT_EQ(found.error().kind, ErrorKind::kInterrupted);
}

}  // namespace
}  // namespace llmcodec
