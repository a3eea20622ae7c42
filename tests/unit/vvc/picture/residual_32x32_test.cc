// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/picture/residual_32x32.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "every_instruction_set.h"
#include "vvc/picture/transform.h"
#include "vvc/residual/scan.h"

namespace llmcodec::vvc {
namespace {

// From busy to saturating: intermediate and final clipping to 16 bits must agree too.
void expect_equal_on_this_target() {
  std::mt19937 random(1);
  for (int round = 0; round < 400; ++round) {
    const int bit_depth = round % 2 ? 8 : 10;
    const Scaler scaler(static_cast<int>(random() % 64) + (bit_depth == 10 ? 12 : 0), bit_depth, 5, 5);
    const int last = static_cast<int>(random() % 1025) - 1;
    const uint32_t bound = 1u << (1 + random() % 16);
    int32_t levels[1024] = {}, coefficients[1024] = {};
    for (int n = 0; n <= last; ++n) {
      levels[n] =
          std::clamp(static_cast<int32_t>(random() % bound) - static_cast<int32_t>(bound / 2), -32768, 32767);
      coefficients[scan_order(5, 5)[n].raster] = levels[n] == 0 ? 0 : scaler(levels[n]);
    }
    alignas(64) int16_t expected[1024], found[1024];
    inverse_dct(coefficients, {}, bit_depth, expected);
    Residual32x32(scaler, bit_depth)(levels, last, found);
    for (int i = 0; i < 1024; ++i) ASSERT_EQ(found[i], expected[i]) << "round " << round << " sample " << i;
  }
}

TEST(Residual32x32, equals_scaling_and_transform_on_every_instruction_set) {
  on_every_instruction_set(expect_equal_on_this_target);
}

}  // namespace
}  // namespace llmcodec::vvc
