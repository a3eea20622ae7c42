// SPDX-License-Identifier: BSD-3-Clause
#include "plane/spectral_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <random>
#include <vector>

namespace llmcodec {
namespace {

std::vector<int32_t> numbered(uint64_t count) {
  std::vector<int32_t> values(count);
  std::iota(values.begin(), values.end(), 1);
  return values;
}

std::vector<int32_t> round_trip(const SpectralLayout& layout, std::vector<int32_t>& matrix,
                                const std::vector<uint32_t>& order) {
  std::vector<int32_t> back(matrix.size(), -1);
  const MatrixView<int32_t> source(matrix.data(), layout.rows, layout.cols),
      target(back.data(), layout.rows, layout.cols);
  for (uint64_t i = 0; i < layout.pictures(); ++i) {
    const PictureRect rect = layout.picture(i);
    std::vector<int32_t> coefficients(layout.picture_coefficients(), -7);
    gather_picture<int32_t>(layout, i, source.block(rect.first_row, 0, rect.rows, layout.cols), order,
                            coefficients);
    EXPECT_EQ(std::count(coefficients.begin(), coefficients.end(), 0),
              static_cast<int64_t>(layout.picture_coefficients() -
                                   rect.rows * rect.cols));  // padding, nothing else
    scatter_picture<int32_t>(layout, i, coefficients, order,
                             target.block(rect.first_row, 0, rect.rows, layout.cols));
  }
  return back;
}

TEST(SpectralLayout, RoundTripOfAllSmallShapes) {
  for (uint64_t rows = 1; rows <= 80; rows += rows < 8 ? 1 : 11) {
    for (uint64_t cols = 1; cols <= 100; cols += cols < 8 ? 1 : 13) {
      for (uint32_t m : {1u, 2u, 5u, 31u}) {
        const auto layout = SpectralLayout::make(rows, cols, m, 500);
        ASSERT_TRUE(layout.is_ok());
        auto matrix = numbered(rows * cols);
        std::vector<uint32_t> order(cols);
        std::iota(order.rbegin(), order.rend(), 0u);
        EXPECT_EQ(round_trip(*layout, matrix, {}), matrix) << rows << " x " << cols << " m " << m;
        EXPECT_EQ(round_trip(*layout, matrix, order), matrix) << rows << " x " << cols << " m " << m;
      }
    }
  }
}

// The example of the header and of docs/format.md: 5 outputs, 34 inputs, m = 2.
TEST(SpectralLayout, CommittedExampleOfTheArrangement) {
  const auto layout = SpectralLayout::restore(5, 34, 2, 3, 2);
  ASSERT_TRUE(layout.is_ok());
  std::vector<int32_t> matrix(5 * 34);
  for (int row = 0; row < 5; ++row) {
    for (int col = 0; col < 34; ++col) matrix[row * 34 + col] = 100 * (row + 1) + col;
  }
  std::vector<int32_t> strip(layout->strip_coefficients());
  ASSERT_EQ(strip.size(), 3u * 64);
  gather_strip<int32_t>(*layout, 0, 0, MatrixView<const int32_t>(matrix.data(), 5, 34), {}, strip);
  const auto block = [&](int index, int count) {
    return std::vector<int32_t>(strip.begin() + index * 64, strip.begin() + index * 64 + count);
  };
  EXPECT_EQ(block(0, 5), (std::vector<int32_t>{-100, 200, -101, -201, 102}));  // scan positions 1..5
  EXPECT_EQ(block(1, 4), (std::vector<int32_t>{-300, 400, -301, -401}));
  EXPECT_EQ(block(2, 4), (std::vector<int32_t>{-500, 0, -501, 0}));  // the sixth output does not exist
  EXPECT_EQ(strip[63], -231);                                        // scan position 64: input 31, output 1
  gather_strip<int32_t>(*layout, 0, 1, MatrixView<const int32_t>(matrix.data(), 5, 34), {}, strip);
  EXPECT_EQ(block(0, 6),
            (std::vector<int32_t>{-132, 232, -133, -233, 0, 0}));  // the second strip has 2 inputs
}

// What makes it a maximum length sequence: every shift but 0 agrees with it almost as often as not.
TEST(SpectralLayout, SignsDoNotRepeat) {
  EXPECT_EQ(std::accumulate(kSpectralSigns.begin(), kSpectralSigns.end(), 0), -12);
  for (size_t shift = 1; shift < 200; ++shift) {
    int agreement = 0;
    for (size_t k = shift; k < kSpectralSigns.size(); ++k)
      agreement += kSpectralSigns[k] * kSpectralSigns[k - shift];
    EXPECT_LE(std::abs(agreement), 32) << shift;
  }
}

TEST(SpectralLayout, StripsAreThePictureInOrder) {
  const auto layout = SpectralLayout::restore(40, 100, 7, 3, 2);
  ASSERT_TRUE(layout.is_ok());
  EXPECT_EQ(layout->row_cuts, 2u);
  EXPECT_EQ(layout->col_cuts, 2u);
  auto matrix = numbered(40 * 100);
  for (uint64_t i = 0; i < layout->pictures(); ++i) {
    const PictureRect rect = layout->picture(i);
    const MatrixView<const int32_t> rows(matrix.data() + rect.first_row * 100, rect.rows, 100);
    std::vector<int32_t> whole(layout->picture_coefficients()), strips;
    gather_picture<int32_t>(*layout, i, rows, {}, whole);
    for (uint32_t s = 0; s < layout->strips; ++s) {
      std::vector<int32_t> strip(layout->strip_coefficients());
      gather_strip<int32_t>(*layout, i, s, rows, {}, strip);
      strips.insert(strips.end(), strip.begin(), strip.end());
    }
    EXPECT_EQ(strips, whole);
  }
}

TEST(SpectralLayout, PicturesHaveTheSizeAimedAt) {
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

TEST(SpectralLayout, BadNumbersAreErrors) {
  EXPECT_EQ(SpectralLayout::make(0, 8, 2).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(SpectralLayout::make(8, 8, 0).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(SpectralLayout::make(8, 8, 32).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(SpectralLayout::restore(8, 8, 32, 1, 1).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(SpectralLayout::restore(8, 8, 2, 0, 1).error().kind, ErrorKind::kCorrupt);
  EXPECT_EQ(SpectralLayout::restore(8, 8, 2, 1, 513).error().kind, ErrorKind::kCorrupt);
}

}  // namespace
}  // namespace llmcodec
