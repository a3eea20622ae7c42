// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/picture/transform.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

namespace llmcodec::vvc {
namespace {

TEST(Transform, matrix_rows_are_nearly_orthogonal_cosines) {
  for (int k = 0; k < 64; ++k) {
    for (int n = 0; n < 64; ++n) {
      const double exact = (k == 0 ? 64 : 64 * std::sqrt(2)) * std::cos(M_PI * k * (2 * n + 1) / 128);
      EXPECT_NEAR(dct_coefficient(k, n), exact, 1.6) << k << ' ' << n;
      EXPECT_EQ(dct_coefficient(k, 63 - n), (k % 2 ? -1 : 1) * dct_coefficient(k, n));
    }
    for (int other = 0; other <= k; ++other) {
      int product = 0;
      for (int n = 0; n < 64; ++n) product += dct_coefficient(k, n) * dct_coefficient(other, n);
      EXPECT_NEAR(product, other == k ? 4096 * 64 : 0, 4096 * 64 * 0.005) << k << ' ' << other;
    }
  }
}

// The standard's definition: two plain matrix products with roundings, in 64 bits.
std::vector<int64_t> by_definition(const std::vector<int32_t>& c, int log2_width, int log2_height,
                                   int bit_depth) {
  const int width = 1 << log2_width, height = 1 << log2_height;
  std::vector<int64_t> middle(c.size()), out(c.size());
  for (int x = 0; x < width; ++x) {
    for (int y = 0; y < height; ++y) {
      int64_t sum = 0;
      for (int k = 0; k < height; ++k) sum += int64_t{dct_coefficient(k * 64 / height, y)} * c[k * width + x];
      middle[y * width + x] = std::clamp<int64_t>((sum + 64) >> 7, -32768, 32767);
    }
  }
  const int shift = 20 - bit_depth;
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      int64_t sum = 0;
      for (int k = 0; k < width; ++k) sum += dct_coefficient(k * 64 / width, x) * middle[y * width + k];
      out[y * width + x] = std::clamp<int64_t>((sum + (1 << (shift - 1))) >> shift, -32768, 32767);
    }
  }
  return out;
}

TEST(Transform, inverse_equals_definition_for_all_sizes_depths_extremes) {
  std::mt19937 random(3);
  for (int log2_width = 2; log2_width <= 6; ++log2_width) {
    for (int log2_height = 2; log2_height <= 6; ++log2_height) {
      for (int round = 0; round < 6; ++round) {
        const int width = 1 << log2_width, height = 1 << log2_height;
        const int bit_depth = 8 + round % 3;
        TransformSize size{log2_width, log2_height, 4 * (1 + int(random() % (std::min(width, 32) / 4))),
                           4 * (1 + int(random() % (std::min(height, 32) / 4)))};
        std::vector<int32_t> c(width * height);
        for (int y = 0; y < size.rows; ++y)
          for (int x = 0; x < size.columns; ++x)
            c[y * width + x] = round == 5 ? (random() % 2 ? 32767 : -32768) : int(random() % 8192) - 4096;
        std::vector<int16_t> residual(c.size());
        inverse_dct(c.data(), size, bit_depth, residual.data());
        const auto expected = by_definition(c, log2_width, log2_height, bit_depth);
        for (size_t i = 0; i < c.size(); ++i)
          ASSERT_EQ(residual[i], expected[i]) << width << 'x' << height << " round " << round << " at " << i;
      }
    }
  }
}

TEST(Transform, forward_keeps_energy_and_inverts) {
  std::mt19937 random(4);
  std::normal_distribution<double> noise(0, 40);
  for (int log2_width = 2; log2_width <= 5; ++log2_width) {
    for (int log2_height = 2; log2_height <= 5; ++log2_height) {
      const int width = 1 << log2_width, height = 1 << log2_height;
      std::vector<int16_t> samples(width * height), back(samples.size());
      for (auto& s : samples) s = static_cast<int16_t>(std::lround(noise(random)));
      std::vector<float> c(samples.size());
      forward_dct(samples.data(), log2_width, log2_height, c.data());
      double before = 0, after = 0;
      for (size_t i = 0; i < c.size(); ++i) before += samples[i] * samples[i], after += c[i] * c[i];
      EXPECT_NEAR(after / before, 1, 0.006);
      // To the standard's units at 10 bits: times 2^(15 - 10) / sqrt(width * height).
      const double unit = 32 / std::sqrt(width * height);
      std::vector<int32_t> levels(c.size());
      for (size_t i = 0; i < c.size(); ++i) levels[i] = static_cast<int32_t>(std::lround(c[i] * unit));
      inverse_dct(levels.data(), {log2_width, log2_height, width, height}, 10, back.data());
      for (size_t i = 0; i < c.size(); ++i) EXPECT_NEAR(back[i], samples[i], 3) << width << 'x' << height;
    }
  }
}

}  // namespace
}  // namespace llmcodec::vvc
