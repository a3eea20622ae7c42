// SPDX-License-Identifier: BSD-3-Clause
#include "rate/gaussian_rate.h"

#include <gtest/gtest.h>

namespace llmcodec {
namespace {

TEST(GaussianRate, bits_fall_and_stay_positive_over_every_step) {
  double before = gaussian_bits(-14);
  for (double x = -13.9; x < 8; x += 0.1) {
    const double bits = gaussian_bits(x);
    EXPECT_GT(bits, 0);
    EXPECT_LE(bits, before) << x;
    before = bits;
  }
}

TEST(GaussianRate, step_is_the_inverse_of_bits) {
  for (double bits = 0.2; bits < 12; bits += 0.17)
    EXPECT_NEAR(gaussian_bits(gaussian_log2_step(bits)), bits, 1e-9) << bits;
}

}  // namespace
}  // namespace llmcodec
