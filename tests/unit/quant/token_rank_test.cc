// SPDX-License-Identifier: BSD-3-Clause
#include "quant/token_rank.h"

#include <gtest/gtest.h>

#include <cmath>

namespace llmcodec {
namespace {

TEST(TokenRank, steps_rise_with_the_rank_inside_the_limit) {
  const std::vector<float> factors = token_rank_factors(50000, {.exponent = 0.75, .limit = 2});
  ASSERT_EQ(factors.size(), 50000u);
  for (size_t i = 1; i < factors.size(); ++i) ASSERT_GE(factors[i], factors[i - 1]) << i;
  EXPECT_FLOAT_EQ(factors[0], 0.5f);  // 300^0.375 is further than that below the mean
  EXPECT_LT(factors.back(), 2.0f);
  EXPECT_NEAR(factors[20000] / factors[10000], std::pow(20300.0 / 10300.0, 0.375), 1e-4);
}

TEST(TokenRank, no_exponent_no_effect_and_no_tokens) {
  for (float factor : token_rank_factors(100, {.exponent = 0, .limit = 2})) EXPECT_FLOAT_EQ(factor, 1.0f);
  EXPECT_TRUE(token_rank_factors(0).empty());
}

}  // namespace
}  // namespace llmcodec
