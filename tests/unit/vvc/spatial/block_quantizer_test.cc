// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spatial/block_quantizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "vvc/residual/residual_syntax.h"

namespace llmcodec::vvc {
namespace {

constexpr int kSize = 64;

struct Setting {
  Setting() : source(kSize, kSize), picture(kSize, kSize), map(kSize, kSize), contexts(initial_contexts(29)) {
    std::mt19937 random(5);
    std::normal_distribution<double> normal(512, 90);
    for (auto* plane : {&source, &picture})
      for (size_t y = 0; y < kSize; ++y)
        for (size_t x = 0; x < kSize; ++x)
          plane->view().at(y, x) = static_cast<uint16_t>(std::clamp(normal(random), 0.0, 1023.0));
    map.fill(0, 0, kSize, kSize, {.slice = 1});
  }
  NeighbourScope scope() const { return {.map = &map, .slice = 1, .right_limit = kSize}; }

  Plane source, picture;
  CuMap map;
  ContextSet contexts;
};

// Below the first row of a CTU another prediction changes one coefficient: so taking over the levels of one
// prediction for another is what the trellis would find, but for position 0.
TEST(BlockQuantizer, adapted_levels_are_those_of_the_trellis) {
  constexpr int kShapes[][2] = {{5, 5}, {5, 4}, {4, 5}, {5, 3}, {3, 5}, {2, 2}};
  for (const auto& [log2_width, log2_height] : kShapes) {
    Setting s;
    BlockQuantizer one(s.source.view(), s.picture.view(), {}), two(s.source.view(), s.picture.view(), {});
    one.set_qp(27);
    two.set_qp(27);
    const PredictionBlock block{
        .x = 32, .y = 32, .log2_width = log2_width, .log2_height = log2_height, .ref_idx = 1};
    one.quantize(block, s.scope(), s.contexts);
    const std::vector<int32_t> expected(one.levels().begin(), one.levels().end());
    int state = 0;
    for (int n = one.last(); n > 0; --n)
      state = next_state(state, (std::abs(expected[static_cast<size_t>(n)]) + (state >> 1)) >> 1 & 1);
    std::vector<int32_t> found = expected;
    found[0] = 12345;
    two.adapt(block, s.scope(), {found, one.last(), state});
    EXPECT_EQ(two.last(), one.last());
    EXPECT_TRUE(std::equal(expected.begin() + 1, expected.end(), two.levels().begin() + 1));
    EXPECT_LE(std::abs(two.levels()[0] - expected[0]), 2);
  }
}

// The level at position 0 when the source is brighter than the prediction by `offset` everywhere.
int32_t level_of_mean(int offset, const FoundLevels& found, int* last) {
  Setting s;
  BlockQuantizer quantizer(s.source.view(), s.picture.view(), {});
  quantizer.set_qp(27);
  for (size_t y = 0; y < kSize; ++y)
    for (size_t x = 0; x < kSize; ++x) {
      s.picture.view().at(y, x) = 500;
      s.source.view().at(y, x) = static_cast<uint16_t>(500 + offset);
    }
  quantizer.adapt({.x = 32, .y = 32, .ref_idx = 1}, s.scope(), found);
  *last = quantizer.last();
  return quantizer.levels()[0];
}

// Nothing but the mean: the block is empty, or position 0 is its last level.
TEST(BlockQuantizer, adapted_block_of_no_other_level) {
  const std::vector<int32_t> none(1024);
  int last = 0;
  EXPECT_EQ(level_of_mean(0, {none, -1, 0}, &last), 0);
  EXPECT_EQ(last, -1);
  EXPECT_GT(level_of_mean(300, {none, -1, 0}, &last), 0);
  EXPECT_EQ(last, 0);
}

// Quantiser Q1 has odd levels and zero: a mean of less than one step is zero, although 1 may be nearer.
TEST(BlockQuantizer, small_mean_is_left_out_in_every_state) {
  std::vector<int32_t> levels(1024);
  levels[5] = 2;
  int last = 0;
  for (int state = 0; state < 4; ++state) {
    EXPECT_EQ(level_of_mean(0, {levels, 5, state}, &last), 0) << state;
    EXPECT_EQ(last, 5);
    EXPECT_EQ(level_of_mean(300, {levels, 5, state}, &last) % 2, state >> 1) << state;
    EXPECT_EQ(level_of_mean(-300, {levels, 5, state}, &last) % 2, -(state >> 1)) << state;
  }
}

}  // namespace
}  // namespace llmcodec::vvc
