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

TEST(BlockQuantizer, mean_level_is_zero_below_a_step) {
  for (int state = 0; state < 4; ++state)
    for (int coefficient = -255; coefficient <= 255; ++coefficient)
      EXPECT_EQ(mean_level(coefficient, state), 0) << coefficient << " in state " << state;
  for (int state : {2, 3}) {
    EXPECT_EQ(mean_level(256, state), 1);
    EXPECT_EQ(mean_level(-256, state), -1);
    EXPECT_EQ(mean_level(512, state), 3);
  }
  EXPECT_EQ(mean_level(256, 0), 2);
  EXPECT_EQ(mean_level(-257, 1), -2);
}

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

// Nothing but the mean: the block is empty, or position 0 is its last level.
TEST(BlockQuantizer, adapted_block_of_no_other_level) {
  Setting s;
  BlockQuantizer quantizer(s.source.view(), s.picture.view(), {});
  quantizer.set_qp(27);
  const std::vector<int32_t> none(1024);
  const PredictionBlock block{.x = 32, .y = 32, .ref_idx = 1};
  for (int offset : {0, 300}) {
    for (size_t y = 0; y < kSize; ++y)
      for (size_t x = 0; x < kSize; ++x) {
        s.picture.view().at(y, x) = 500;
        s.source.view().at(y, x) = static_cast<uint16_t>(500 + offset);
      }
    quantizer.adapt(block, s.scope(), {none, -1, 0});
    EXPECT_EQ(quantizer.last(), offset == 0 ? -1 : 0);
    EXPECT_EQ(quantizer.levels()[0] > 0, offset > 0);
  }
}

}  // namespace
}  // namespace llmcodec::vvc
