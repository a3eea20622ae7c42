// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/picture/scaling.h"

#include <gtest/gtest.h>

#include <cmath>

namespace llmcodec::vvc {
namespace {

TEST(Scaling, union_step_is_the_documented_one) {
  // A level is worth Du = 2^((qp' - 9) / 6) samples; a coefficient 2^(15 - depth - log2 N) per sample.
  for (int bit_depth : {8, 10}) {
    for (int log2_size = 2; log2_size <= 5; ++log2_size) {
      for (int qp_prime = 20; qp_prime <= 63; ++qp_prime) {
        const Scaler scaler(qp_prime, bit_depth, log2_size, log2_size);
        const double expected = 100 * std::exp2((qp_prime - 9) / 6.0 + 15 - bit_depth - log2_size);
        if (expected >= 32767) continue;
        EXPECT_NEAR(scaler(100), expected, 1 + expected * 0.0085) << qp_prime;
      }
    }
  }
  EXPECT_EQ(Scaler(9, 10, 5, 5)(1), 1);
  EXPECT_EQ(Scaler(9, 10, 5, 5)(-7), -7);
}

TEST(Scaling, extreme_levels_clip) {
  for (int qp_prime : {0, 37, 63, 75}) {
    for (int log2_height : {2, 3, 6}) {
      const Scaler scaler(qp_prime, 10, 2, log2_height);
      EXPECT_LE(scaler(32767), 32767);
      EXPECT_GE(scaler(-32768), -32768);
    }
  }
  EXPECT_EQ(Scaler(75, 10, 2, 2)(32767), 32767);
  EXPECT_EQ(Scaler(75, 10, 2, 2)(-32768), -32768);
}

}  // namespace
}  // namespace llmcodec::vvc
