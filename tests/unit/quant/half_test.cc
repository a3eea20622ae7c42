// SPDX-License-Identifier: BSD-3-Clause
#include "quant/half.h"

#include <gtest/gtest.h>

#include <cmath>

namespace llmcodec {
namespace {

TEST(Half, every_finite_value_round_trips) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    if ((bits >> 10 & 31) == 31) continue;
    EXPECT_EQ(half_from_float(half_to_float(static_cast<uint16_t>(bits))), bits);
  }
  EXPECT_EQ(half_to_float(0x3c00), 1.0f);
  EXPECT_EQ(half_to_float(0x0001), std::ldexp(1.0f, -24));
}

TEST(Half, rounds_to_nearest_even_and_saturates) {
  EXPECT_EQ(half_from_float(1.0f + 1.0f / 2048), 0x3c00);  // tie to even
  EXPECT_EQ(half_from_float(1.0f + 3.0f / 2048), 0x3c02);
  EXPECT_EQ(half_from_float(2047.75f), 0x6800);  // carries into the exponent
  EXPECT_EQ(half_from_float(std::ldexp(1023.75f, -24)), 0x0400);
  EXPECT_EQ(half_from_float(1e30f), 0x7bff);
  EXPECT_EQ(half_from_float(-1e30f), 0xfbff);
}

}  // namespace
}  // namespace llmcodec
