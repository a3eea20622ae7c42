// SPDX-License-Identifier: BSD-3-Clause
#include "plane/spectral_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

#include "base/checked_math.h"

namespace llmcodec {
namespace {

std::vector<float> numbered(uint64_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 1.0f);
  return values;
}

// Pictures of blocks_x x strips blocks, m outputs in each.
SpectralLayout layout_of(uint64_t rows, uint64_t cols, uint32_t m, uint32_t blocks_x, uint32_t strips) {
  return {.rows = rows,
          .cols = cols,
          .outputs_per_block = m,
          .blocks_x = blocks_x,
          .strips = strips,
          .row_cuts = ceil_div(rows, uint64_t{blocks_x} * m),
          .col_cuts = ceil_div(cols, uint64_t{strips} * kStripInputs)};
}

// Every picture's coefficients, taken for indices, and back in halves.
std::vector<float> round_trip(const SpectralLayout& layout, std::vector<float>& matrix) {
  std::vector<float> back(matrix.size(), -1);
  const MatrixView<float> source(matrix.data(), layout.rows, layout.cols),
      target(back.data(), layout.rows, layout.cols);
  for (uint64_t i = 0; i < layout.pictures(); ++i) {
    const PictureRect rect = layout.picture(i);
    const auto of = [&](const MatrixView<float>& whole) {
      return whole.block(rect.first_row, rect.first_col, rect.rows, rect.cols);
    };
    std::vector<float> coefficients(layout.picture_coefficients());
    gather_picture(layout, of(source), coefficients);
    EXPECT_EQ(std::count(coefficients.begin(), coefficients.end(), 0.0f),
              static_cast<int64_t>(layout.picture_coefficients() -
                                   rect.rows * rect.cols));  // padding, nothing else
    const std::vector<int32_t> indices(coefficients.begin(), coefficients.end());
    scatter_picture<int32_t>(layout, indices, 0.5f, of(target));
  }
  return back;
}

TEST(SpectralLayout, round_trip_of_all_small_shapes) {
  for (uint64_t rows = 1; rows <= 80; rows += rows < 8 ? 1 : 11) {
    for (uint64_t cols = 1; cols <= 100; cols += cols < 8 ? 1 : 13) {
      for (uint32_t m : {1u, 2u, 5u, 31u}) {
        const auto layout = SpectralLayout::make(rows, cols, m, 500);
        ASSERT_TRUE(layout.is_ok());
        auto matrix = numbered(rows * cols);
        const std::vector<float> halves = round_trip(*layout, matrix);
        for (size_t i = 0; i < matrix.size(); ++i)
          ASSERT_EQ(halves[i], matrix[i] / 2) << rows << " x " << cols << " m " << m << " at " << i;
      }
    }
  }
}

// The example of the header and of docs/format.md: 5 outputs, 34 inputs, m = 2.
TEST(SpectralLayout, committed_example_of_the_arrangement) {
  const SpectralLayout layout = layout_of(5, 34, 2, 3, 2);
  std::vector<float> matrix(5 * 34);
  for (size_t row = 0; row < 5; ++row) {
    for (size_t col = 0; col < 34; ++col) matrix[row * 34 + col] = static_cast<float>(100 * (row + 1) + col);
  }
  std::vector<float> coefficients(layout.picture_coefficients());
  ASSERT_EQ(layout.strip_coefficients(), 3u * 64);
  gather_picture(layout, MatrixView<const float>(matrix.data(), 5, 34), coefficients);
  const auto block = [&](int strip, int index, int count) {
    const auto first = coefficients.begin() + strip * 3 * 64 + index * 64;
    return std::vector<float>(first, first + count);
  };
  EXPECT_EQ(block(0, 0, 5), (std::vector<float>{-100, 200, -101, -201, 102}));  // scan positions 1..5
  EXPECT_EQ(block(0, 1, 4), (std::vector<float>{-300, 400, -301, -401}));
  EXPECT_EQ(block(0, 2, 4), (std::vector<float>{-500, 0, -501, 0}));  // the sixth output does not exist
  EXPECT_EQ(coefficients[63], -231);                                  // scan position 64: input 31, output 1
  EXPECT_EQ(block(1, 0, 6), (std::vector<float>{-132, 232, -133, -233, 0, 0}));  // 2 inputs are left
}

// No zero comes back as -0: its sign is a bit of the restored file.
TEST(SpectralLayout, zeros_are_not_negative) {
  const auto layout = SpectralLayout::make(40, 64, 7);
  ASSERT_TRUE(layout.is_ok());
  const std::vector<int32_t> indices(layout->picture_coefficients());
  std::vector<float> rows(40 * 64, -1.0f);
  scatter_picture<int32_t>(*layout, indices, 0.3f, MatrixView<float>(rows.data(), 40, 64));
  EXPECT_TRUE(std::ranges::none_of(rows, [](float x) { return x != 0 || std::signbit(x); }));
}

// What makes it a maximum length sequence: every shift but 0 agrees with it almost as often as not.
TEST(SpectralLayout, signs_do_not_repeat) {
  EXPECT_EQ(std::accumulate(kSpectralSigns.begin(), kSpectralSigns.end(), 0), -12);
  for (size_t shift = 1; shift < 200; ++shift) {
    int agreement = 0;
    for (size_t k = shift; k < kSpectralSigns.size(); ++k)
      agreement += kSpectralSigns[k] * kSpectralSigns[k - shift];
    EXPECT_LE(std::abs(agreement), 32) << shift;
  }
}

TEST(SpectralLayout, groups_are_parts_of_the_picture) {
  const SpectralLayout layout = layout_of(40, 100, 7, 3, 2);
  EXPECT_EQ(layout.row_cuts, 2u);
  EXPECT_EQ(layout.col_cuts, 2u);
  auto matrix = numbered(40 * 100);
  for (uint64_t i = 0; i < layout.pictures(); ++i) {
    const PictureRect rect = layout.picture(i);
    const auto rows = MatrixView<const float>(matrix.data(), 40, 100)
                          .block(rect.first_row, rect.first_col, rect.rows, rect.cols);
    std::vector<float> whole(layout.picture_coefficients()), parts(whole.size());
    gather_picture(layout, rows, whole);
    for (uint32_t group = 3; group-- > 0;) {  // in any order
      if (group * 7 >= rect.rows) continue;
      const uint64_t count = std::min<uint64_t>(7, rect.rows - group * 7);
      gather_group(layout, group, rows.block(group * 7, 0, count, rect.cols), parts);
    }
    EXPECT_EQ(parts, whole);
  }
}

TEST(SpectralLayout, pictures_have_the_size_aimed_at) {
  for (auto [rows, cols] : std::vector<std::pair<uint64_t, uint64_t>>{{576, 576},
                                                                      {49152, 576},
                                                                      {128256, 4096},
                                                                      {4096, 14336},
                                                                      {4096, 53248},
                                                                      {16, 100000},
                                                                      {100000, 8}}) {
    const auto layout = SpectralLayout::make(rows, cols, 23);
    ASSERT_TRUE(layout.is_ok());
    EXPECT_LE(layout->width(), kMaxPictureSide);
    EXPECT_LE(layout->height(), kMaxPictureSide);
    EXPECT_LE(layout->picture_coefficients(), uint64_t{1} << 20) << rows << " x " << cols;
  }
}

TEST(SpectralLayout, bad_numbers_are_errors) {
  EXPECT_EQ(SpectralLayout::make(0, 8, 2).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(SpectralLayout::make(8, 8, 0).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(SpectralLayout::make(8, 8, 32).error().kind, ErrorKind::kInvalidArgument);
}

}  // namespace
}  // namespace llmcodec
