// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/picture/intra_pred.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace llmcodec::vvc {
namespace {

constexpr int kSide = 256;  // of the test pictures; the block stands at (64, 64), all around it is known

struct Scene {
  Plane picture{kSide, kSide};
  CuMap map{kSide, kSide};
  NeighbourScope scope{&map, 1, kSide};

  // Everything but the block's own quadrant to the lower right is decoded.
  void mark_known(int x, int y) {
    map.fill(0, 0, kSide, y, {.slice = 1});
    map.fill(0, 0, x, kSide, {.slice = 1});
  }
};

Plane predict(Scene& scene, const PredictionBlock& block, int mode, int bit_depth) {
  ReferenceSamples refs;
  refs.fetch(scene.picture.view(), scene.scope, block, bit_depth);
  Plane out(1u << block.log2_width, 1u << block.log2_height);
  predict_intra(refs, mode, bit_depth, out.view());
  return out;
}

template <class Check>
void for_all_blocks(Check check) {
  for (int log2_width = 2; log2_width <= 6; ++log2_width)
    for (int log2_height = 2; log2_height <= 6; ++log2_height)
      for (int ref_idx = 0; ref_idx <= 2; ++ref_idx)
        for (int mode = 0; mode < kIntraModes; ++mode)
          if (mode != kIntraPlanar || ref_idx == 0)
            check(PredictionBlock{64, 64, log2_width, log2_height, ref_idx}, mode);
}

void expect_constant(const Plane& plane, int value, const PredictionBlock& block, int mode) {
  for (size_t y = 0; y < plane.view().rows; ++y)
    for (uint16_t sample : plane.view().row(y))
      ASSERT_EQ(sample, value) << "mode " << mode << " size " << block.log2_width << ' ' << block.log2_height
                               << " ref " << block.ref_idx;
}

TEST(IntraPred, no_neighbours_give_mid_grey) {
  Scene scene;
  for_all_blocks([&](const PredictionBlock& block, int mode) {
    expect_constant(predict(scene, block, mode, 10), 512, block, mode);
  });
}

TEST(IntraPred, constant_neighbours_stay_constant) {
  Scene scene;
  scene.mark_known(64, 64);
  for (size_t y = 0; y < kSide; ++y)
    std::fill(scene.picture.view().row(y).begin(), scene.picture.view().row(y).end(), 77);
  for_all_blocks([&](const PredictionBlock& block, int mode) {
    expect_constant(predict(scene, block, mode, 8), 77, block, mode);
  });
}

// Turning the picture about its diagonal must turn the prediction: horizontal and vertical modes, wide
// angles, PDPC and both filters are mirror images.
TEST(IntraPred, transposed_picture_gives_transposed_prediction) {
  Scene scene, turned;
  scene.mark_known(64, 64);
  turned.mark_known(64, 64);
  std::mt19937 random(5);
  for (size_t y = 0; y < kSide; ++y)
    for (size_t x = 0; x < kSide; ++x)
      turned.picture.view().at(x, y) = scene.picture.view().at(y, x) = static_cast<uint16_t>(random() % 1024);
  for_all_blocks([&](const PredictionBlock& block, int mode) {
    PredictionBlock other = block;
    std::swap(other.log2_width, other.log2_height);
    const int mirrored = mode <= kIntraDc ? mode : 68 - mode;
    const Plane a = predict(scene, block, mode, 10), b = predict(turned, other, mirrored, 10);
    for (size_t y = 0; y < a.view().rows; ++y)
      for (size_t x = 0; x < a.view().cols; ++x)
        ASSERT_EQ(a.view().at(y, x), b.view().at(x, y))
            << "mode " << mode << " size " << block.log2_width << ' ' << block.log2_height << " ref "
            << block.ref_idx;
  });
}

TEST(IntraPred, extreme_samples_stay_in_range) {
  Scene scene;
  scene.mark_known(64, 64);
  std::mt19937 random(6);
  for (size_t y = 0; y < kSide; ++y)
    for (uint16_t& sample : scene.picture.view().row(y)) sample = random() % 2 ? 255 : 0;
  for_all_blocks([&](const PredictionBlock& block, int mode) {
    const Plane plane = predict(scene, block, mode, 8);
    for (size_t y = 0; y < plane.view().rows; ++y)
      for (uint16_t sample : plane.view().row(y)) ASSERT_LE(sample, 255) << "mode " << mode;
  });
}

TEST(IntraPred, missing_references_copy_the_nearest_known) {
  Scene scene;
  for (size_t y = 0; y < kSide; ++y)
    for (size_t x = 0; x < kSide; ++x) scene.picture.view().at(y, x) = static_cast<uint16_t>(y * 2 + x);
  const PredictionBlock block{64, 64, 3, 3, 0};
  ReferenceSamples refs;
  scene.map.fill(64, 60, 8, 4, {.slice = 1});  // only above
  refs.fetch(scene.picture.view(), scene.scope, block, 10);
  EXPECT_EQ(refs.above(0), 63 * 2 + 64);
  EXPECT_EQ(refs.left(16), 63 * 2 + 64);
  EXPECT_EQ(refs.above(8), 63 * 2 + 71);
  EXPECT_EQ(refs.above(16), 63 * 2 + 71);
  scene.map.clear();
  scene.map.fill(60, 64, 4, 12, {.slice = 1});  // only left, and half of below-left
  refs.fetch(scene.picture.view(), scene.scope, block, 10);
  EXPECT_EQ(refs.left(1), 64 * 2 + 63);
  EXPECT_EQ(refs.left(12), 75 * 2 + 63);
  EXPECT_EQ(refs.left(16), 75 * 2 + 63);
  EXPECT_EQ(refs.above(0), 64 * 2 + 63);
  EXPECT_EQ(refs.above(16), 64 * 2 + 63);
  // Another slice is as good as nothing.
  scene.scope.slice = 2;
  refs.fetch(scene.picture.view(), scene.scope, block, 10);
  EXPECT_EQ(refs.left(1), 512);
}

TEST(IntraPred, reference_lines_are_the_ones_asked_for) {
  Scene scene;
  scene.mark_known(64, 64);
  for (size_t y = 0; y < kSide; ++y)
    for (size_t x = 0; x < kSide; ++x) scene.picture.view().at(y, x) = static_cast<uint16_t>(y * 4 + x);
  for (int ref_idx = 0; ref_idx <= 2; ++ref_idx) {
    ReferenceSamples refs;
    refs.fetch(scene.picture.view(), scene.scope, {64, 64, 3, 4, ref_idx}, 10);
    const int row = 63 - ref_idx, column = 63 - ref_idx;
    for (int i = 0; i <= 16 + ref_idx; ++i) EXPECT_EQ(refs.above(i), row * 4 + column + i);
    for (int i = 0; i <= 32 + ref_idx; ++i) EXPECT_EQ(refs.left(i), (row + i) * 4 + column);
  }
}

TEST(IntraPred, most_probable_modes_are_six_different_ones) {
  for (int left = 0; left < kIntraModes; ++left) {
    for (int above = 0; above < kIntraModes; ++above) {
      const MostProbableModes list = most_probable_modes(left, above);
      const std::set<int> modes(std::begin(list.mode), std::end(list.mode));
      ASSERT_EQ(modes.size(), 6u) << left << ' ' << above;
      EXPECT_EQ(list.mode[0], kIntraPlanar);
      EXPECT_LT(*modes.rbegin(), kIntraModes);
      EXPECT_EQ(modes.count(left > kIntraDc ? left : kIntraPlanar), 1u);
      EXPECT_EQ(modes.count(above > kIntraDc ? above : kIntraPlanar), 1u);
    }
  }
}

}  // namespace
}  // namespace llmcodec::vvc
