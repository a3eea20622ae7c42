// SPDX-License-Identifier: BSD-3-Clause
#include "quant/log_code.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace llmcodec {
namespace {

TEST(LogCode, table_is_two_to_the_fractions) {
  for (int k = 0; k < 32; ++k) EXPECT_EQ(kLogCodeTable[k], static_cast<float>(std::exp2(k / 32.0))) << k;
}

TEST(LogCode, decodes_to_the_formula) {
  for (uint32_t per_octave : {2u, 4u, 8u, 16u}) {
    const LogCode code{0.0078125f, per_octave};
    ASSERT_TRUE(code.is_valid());
    EXPECT_EQ(code.decode(0), 0.0f);
    for (int c = 1; c < 256; ++c) {
      const double expected = 0.0078125 * std::exp2(static_cast<double>(c) / per_octave);
      EXPECT_NEAR(code.decode(static_cast<uint8_t>(c)) / expected, 1, 1e-7);
      EXPECT_EQ(code.encode(code.decode(static_cast<uint8_t>(c))), c);
    }
  }
}

TEST(LogCode, error_is_at_most_half_a_code) {
  for (uint32_t per_octave : {8u, 16u, 32u}) {
    const LogCode code{0.001f, per_octave};
    const double bound = std::exp2(0.5 / per_octave) * (1 + 1e-6);
    for (double v = 0.0011; v < 0.1; v *= 1.0071) {
      const double ratio = code.decode(code.encode(v)) / v;
      EXPECT_LE(ratio, bound);
      EXPECT_GE(ratio, 1 / bound);
    }
  }
}

TEST(LogCode, fit_covers_the_range_or_halves_the_resolution) {
  const std::vector<double> narrow = {0.3, 0.004, 0.0, 1.7};
  const LogCode fine = fit_log_code(narrow, 16);
  EXPECT_EQ(fine.per_octave, 16u);
  EXPECT_EQ(fine.encode(0.0), 0);
  for (double v : narrow) EXPECT_NEAR(fine.decode(fine.encode(v)), v, 0.022 * v);

  const std::vector<double> wide = {1e-9, 1.0};  // 30 octaves
  const LogCode coarse = fit_log_code(wide, 16);
  EXPECT_EQ(coarse.per_octave, 4u);
  for (double v : wide) EXPECT_NEAR(coarse.decode(coarse.encode(v)), v, 0.1 * v);
}

TEST(LogCode, extreme_values_stay_finite_and_the_largest_fit) {
  const double smallest = std::numeric_limits<float>::denorm_min(),
               largest = std::numeric_limits<float>::max();
  for (const std::vector<double>& values :
       {std::vector<double>{smallest}, {largest}, {smallest, largest}, {1e-44, 1e-3}, {}, {0.0, 0.0}}) {
    const LogCode code = fit_log_code(values, 16);
    ASSERT_TRUE(code.is_valid());
    for (double v : values) {
      if (v > 1e-4) {
        EXPECT_NEAR(code.decode(code.encode(v)) / v, 1, 0.3);
      }
    }
  }
}

TEST(LogCode, bad_parameters_are_not_valid) {
  EXPECT_FALSE((LogCode{0.0f, 16}.is_valid()));
  EXPECT_FALSE((LogCode{-1.0f, 16}.is_valid()));
  EXPECT_FALSE((LogCode{std::numeric_limits<float>::infinity(), 16}.is_valid()));
  EXPECT_FALSE((LogCode{std::nanf(""), 16}.is_valid()));
  EXPECT_FALSE((LogCode{1.0f, 0}.is_valid()));
  EXPECT_FALSE((LogCode{1.0f, 3}.is_valid()));
  EXPECT_FALSE((LogCode{1.0f, 64}.is_valid()));
  EXPECT_FALSE((LogCode{1e38f, 16}.is_valid()));  // code 255 would be infinite
}

}  // namespace
}  // namespace llmcodec
