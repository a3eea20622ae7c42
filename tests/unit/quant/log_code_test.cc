// SPDX-License-Identifier: BSD-3-Clause
#include "quant/log_code.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "quant/half.h"
#include "quant/portable_math.h"

namespace llmcodec {
namespace {

TEST(PortableMath, AgreesWithLibm) {
  for (double v : {1e-300, 3e-38, 0.1, 0.7071, 0.70711, 1.0, 1.4142, 2.0, 3.7, 1e10, 3e38, 1e300}) {
    EXPECT_NEAR(portable_log2(v), std::log2(v), 1e-13 * (1 + std::fabs(std::log2(v)))) << v;
  }
  for (double v : {-900.25, -3.5, -0.5, 0.0, 0.49999, 0.5, 1.0, 17.3, 900.75}) {
    EXPECT_NEAR(portable_exp2(v) / std::exp2(v), 1, 1e-13) << v;
  }
  EXPECT_NEAR(portable_pow(0.013, -0.375), std::pow(0.013, -0.375), 1e-12);
}

TEST(LogCode, TableIsTwoToTheFractions) {
  for (int k = 0; k < 32; ++k) EXPECT_EQ(kLogCodeTable[k], static_cast<float>(std::exp2(k / 32.0))) << k;
}

TEST(LogCode, DecodesToTheFormula) {
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

TEST(LogCode, ErrorIsAtMostHalfACode) {
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

TEST(LogCode, FitCoversTheRangeOrHalvesTheResolution) {
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

TEST(LogCode, ExtremeValuesStayFiniteAndTheLargestFit) {
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

TEST(LogCode, BadParametersAreNotValid) {
  EXPECT_FALSE((LogCode{0.0f, 16}.is_valid()));
  EXPECT_FALSE((LogCode{-1.0f, 16}.is_valid()));
  EXPECT_FALSE((LogCode{std::numeric_limits<float>::infinity(), 16}.is_valid()));
  EXPECT_FALSE((LogCode{std::nanf(""), 16}.is_valid()));
  EXPECT_FALSE((LogCode{1.0f, 0}.is_valid()));
  EXPECT_FALSE((LogCode{1.0f, 3}.is_valid()));
  EXPECT_FALSE((LogCode{1.0f, 64}.is_valid()));
  EXPECT_FALSE((LogCode{1e38f, 16}.is_valid()));  // code 255 would be infinite
}

TEST(Half, EveryFiniteValueRoundTrips) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    if ((bits >> 10 & 31) == 31) continue;
    EXPECT_EQ(half_from_float(half_to_float(static_cast<uint16_t>(bits))), bits);
  }
  EXPECT_EQ(half_to_float(0x3c00), 1.0f);
  EXPECT_EQ(half_to_float(0x0001), std::ldexp(1.0f, -24));
}

TEST(Half, RoundsToNearestEvenAndSaturates) {
  EXPECT_EQ(half_from_float(1.0f + 1.0f / 2048), 0x3c00);  // tie to even
  EXPECT_EQ(half_from_float(1.0f + 3.0f / 2048), 0x3c02);
  EXPECT_EQ(half_from_float(2047.75f), 0x6800);  // carries into the exponent
  EXPECT_EQ(half_from_float(std::ldexp(1023.75f, -24)), 0x0400);
  EXPECT_EQ(half_from_float(1e30f), 0x7bff);
  EXPECT_EQ(half_from_float(-1e30f), 0xfbff);
}

}  // namespace
}  // namespace llmcodec
