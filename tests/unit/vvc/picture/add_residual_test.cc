// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/picture/add_residual.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "every_instruction_set.h"

namespace llmcodec::vvc {
namespace {

// Scaling, inverse transform and sum in plain C++.
void add_plainly(const Scaler& scaler, const LevelBlock& block, MutablePlaneView samples) {
  const int width = 1 << block.size.log2_width, height = 1 << block.size.log2_height;
  std::vector<int32_t> coefficients(64 * 64);
  std::vector<int16_t> residual(64 * 64);
  for (int y = 0; y < std::min(height, 32); ++y)
    for (int x = 0; x < std::min(width, 32); ++x)
      coefficients[y * width + x] = scaler(block.levels[y * width + x]);
  const TransformSize all{block.size.log2_width, block.size.log2_height, std::min(width, 32),
                          std::min(height, 32)};
  inverse_dct(coefficients.data(), all, block.bit_depth, residual.data());
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      samples.at(y, x) = static_cast<uint16_t>(
          std::clamp(samples.at(y, x) + residual[y * width + x], 0, (1 << block.bit_depth) - 1));
}

// From busy to saturating: clipping of coefficients, of the first stage, of residuals and of samples.
void expect_equal_on_this_target() {
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    const int log2_width = 2 + static_cast<int>(random() % 5),
              log2_height = 2 + static_cast<int>(random() % 5);
    const int bit_depth = 8 + static_cast<int>(random() % 3);
    const int width = 1 << log2_width, height = 1 << log2_height;
    const Scaler scaler(static_cast<int>(random() % 64) + 6 * (bit_depth - 8), bit_depth, log2_width,
                        log2_height);
    const TransformSize size{log2_width, log2_height,
                             4 * (1 + static_cast<int>(random() % (std::min(width, 32) / 4))),
                             4 * (1 + static_cast<int>(random() % (std::min(height, 32) / 4)))};
    const uint32_t bound = 1u << (1 + random() % 16);
    std::vector<int32_t> levels(64 * 32);
    for (int y = 0; y < size.rows; ++y)
      for (int x = 0; x < size.columns; ++x)
        levels[y * width + x] = std::clamp(
            static_cast<int32_t>(random() % (2 * bound)) - static_cast<int32_t>(bound), -32768, 32767);
    Plane expected(100, 70);
    for (size_t y = 0; y < 70; ++y)
      for (size_t x = 0; x < 100; ++x)
        expected.view().at(y, x) = static_cast<uint16_t>(random() % (1u << bit_depth));
    Plane found = expected;
    const LevelBlock block{size, bit_depth, levels.data()};
    if (!add_block_residual(scaler, block, found.view().block(3, 5, height, width))) continue;
    add_plainly(scaler, block, expected.view().block(3, 5, height, width));
    for (size_t y = 0; y < 70; ++y)
      for (size_t x = 0; x < 100; ++x)
        ASSERT_EQ(found.view().at(y, x), expected.view().at(y, x))
            << "round " << round << ": " << width << "x" << height << " at " << x << ", " << y;
  }
}

TEST(AddResidual, equals_scaling_transform_and_sum_on_every_instruction_set) {
  on_every_instruction_set(expect_equal_on_this_target);
}

// The vectors must not depend on luck: on x86 every block of sides from 8 on is theirs.
TEST(AddResidual, sides_of_four_are_left_to_the_plain_way) {
  const std::vector<int32_t> levels(1024);
  Plane plane(32, 32);
  const Scaler scaler(30, 10, 2, 5);
  EXPECT_FALSE(
      add_block_residual(scaler, {{2, 5, 4, 32}, 10, levels.data()}, plane.view().block(0, 0, 32, 4)));
}

}  // namespace
}  // namespace llmcodec::vvc
