// SPDX-License-Identifier: BSD-3-Clause
#include "base/checked_math.h"

#include <gtest/gtest.h>

#include <vector>

namespace llmcodec {
namespace {

TEST(CheckedMath, overflow_is_seen_at_the_edge) {
  EXPECT_EQ(checked_mul(1ull << 32, (1ull << 32) - 1), ((1ull << 32) - 1) << 32);
  EXPECT_EQ(checked_mul(1ull << 32, 1ull << 32), std::nullopt);
  EXPECT_EQ(checked_mul(UINT64_MAX, 0), 0u);
  EXPECT_EQ(checked_add(UINT64_MAX - 1, 1), UINT64_MAX);
  EXPECT_EQ(checked_add(UINT64_MAX, 1), std::nullopt);
}

TEST(CheckedMath, product_of_a_shape) {
  const auto product = [](const std::vector<uint64_t>& factors) { return checked_product(factors); };
  EXPECT_EQ(product({}), 1u);
  EXPECT_EQ(product({3, 5, 7}), 105u);
  EXPECT_EQ(product({3, 0, 7}), 0u);
  EXPECT_EQ(product({1ull << 40, 1ull << 40}), std::nullopt);
  EXPECT_EQ(product({1ull << 40, 1ull << 40, 0}), std::nullopt);  // refused although the true product is 0
}

TEST(CheckedMath, rounding_up) {
  EXPECT_EQ(ceil_div(0, 7), 0u);
  EXPECT_EQ(ceil_div(7, 7), 1u);
  EXPECT_EQ(ceil_div(8, 7), 2u);
  EXPECT_EQ(ceil_div(UINT64_MAX, 2), 1ull << 63);
  EXPECT_EQ(align_up(0, 32), 0u);
  EXPECT_EQ(align_up(33, 32), 64u);
}

}  // namespace
}  // namespace llmcodec
