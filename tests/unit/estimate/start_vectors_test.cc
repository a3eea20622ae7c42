// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/start_vectors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace llmcodec {
namespace {

double energy_of(MatrixView<const float> values) {
  double sum = 0;
  for (size_t r = 0; r < values.rows; ++r)
    for (const float v : values.row(r)) sum += double{v} * v;
  return sum / static_cast<double>(values.rows * values.cols);
}

// Mean of the products of values that are `apart` columns from each other, over that of their squares.
double likeness(MatrixView<const float> values, size_t apart) {
  double products = 0;
  for (size_t r = 0; r < values.rows; ++r)
    for (size_t c = 0; c + apart < values.cols; ++c)
      products += double{values.at(r, c)} * values.at(r, c + apart);
  return products / static_cast<double>(values.rows * (values.cols - apart)) / energy_of(values);
}

TEST(StartVectors, every_octave_has_the_same_energy) {
  const OwnedMatrix<float> plane = draw_octaves(128, 128, 1);  // eight octaves
  EXPECT_NEAR(energy_of(plane.view()), 1, 0.5);
  // A neighbour shares all octaves but the finest, and half of the next.
  EXPECT_GT(likeness(plane.view(), 1), likeness(plane.view(), 4));
  EXPECT_GT(likeness(plane.view(), 4), likeness(plane.view(), 32));
  EXPECT_EQ(draw_octaves(128, 128, 1).view().at(3, 5), plane.view().at(3, 5));
  EXPECT_EQ(draw_octaves(1, 1, 1).view().rows, 1u);
}

TEST(StartVectors, patches_are_cut_from_one_picture) {
  const Vectors patches = draw_patches(3, 4);
  ASSERT_EQ(patches.rows(), 48u);
  EXPECT_NEAR(energy_of(patches.view()), 1.0 / 3, 0.1);
  // A line of patches: its second is more like its first than its last is.
  double near = 0, far = 0;
  for (size_t n = 0; n < kEstimateTokens; n += 8) {
    for (size_t i = 0; i < patches.rows(); ++i) {
      near += patches.view().at(i, n) * patches.view().at(i, n + 1);
      far += patches.view().at(i, n) * patches.view().at(i, n + 7);
    }
  }
  EXPECT_GT(near, far);
}

TEST(StartVectors, colours_differ_little) {
  const Vectors patches = draw_patches(3, 4);
  double apart = 0;
  for (size_t i = 0; i < 16; ++i) {
    for (size_t n = 0; n < kEstimateTokens; ++n)
      apart += std::pow(patches.view().at(i, n) - patches.view().at(16 + i, n), 2);
  }
  EXPECT_NEAR(apart / (16 * kEstimateTokens), 2 * 0.1 / 3, 0.03);
}

TEST(StartVectors, sounds_have_a_row_for_each_value_of_the_spectrum) {
  const Vectors sound = draw_sound(80);
  ASSERT_EQ(sound.rows(), 80u);
  EXPECT_NEAR(energy_of(sound.view()), 1.0 / 3, 0.15);
  std::set<float> sequences;
  for (size_t n = 0; n < kEstimateTokens; n += kContext) {
    float sum = 0;
    for (size_t r = 0; r < sound.rows(); ++r) sum += static_cast<float>(r + 1) * sound.view().at(r, n);
    sequences.insert(sum);
  }
  EXPECT_EQ(sequences.size(), kEstimateTokens / kContext);
}

}  // namespace
}  // namespace llmcodec
