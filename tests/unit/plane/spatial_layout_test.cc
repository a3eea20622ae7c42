// SPDX-License-Identifier: BSD-3-Clause
#include "plane/spatial_layout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

namespace llmcodec {
namespace {

std::vector<uint16_t> numbered(uint64_t count) {
  std::vector<uint16_t> values(count);
  for (uint64_t i = 0; i < count; ++i) values[i] = static_cast<uint16_t>(i * 40503u);
  return values;
}

std::vector<uint32_t> shuffled(uint64_t count) {
  std::vector<uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  std::shuffle(order.begin(), order.end(), std::mt19937(static_cast<unsigned>(count)));
  return order;
}

// Gathers all pictures and scatters them into a fresh matrix.
std::vector<uint16_t> round_trip(const SpatialLayout& layout, std::vector<uint16_t>& matrix,
                                 const std::vector<uint32_t>& order) {
  std::vector<uint16_t> back(matrix.size(), 0xdead);
  const MutablePlaneView source(matrix.data(), layout.rows, layout.cols),
      target(back.data(), layout.rows, layout.cols);
  for (uint64_t i = 0; i < layout.pictures(); ++i) {
    const PictureRect rect = layout.picture(i);
    Plane plane(layout.width, layout.height);
    gather(layout, i, source.block(rect.first_row, 0, rect.rows, layout.cols), order, 7, plane.view());
    scatter(layout, i, plane.view(), order, target.block(rect.first_row, 0, rect.rows, layout.cols));
  }
  return back;
}

TEST(SpatialLayout, round_trip_of_all_small_shapes) {
  for (uint64_t rows = 1; rows <= 70; rows += rows < 10 ? 1 : 9) {
    for (uint64_t cols = 1; cols <= 70; cols += cols < 10 ? 1 : 7) {
      for (uint64_t target : {64u, 1000u, 100000u}) {
        const auto layout = SpatialLayout::make(rows, cols, target);
        ASSERT_TRUE(layout.is_ok());
        auto matrix = numbered(rows * cols);
        EXPECT_EQ(round_trip(*layout, matrix, {}), matrix) << rows << " x " << cols;
        EXPECT_EQ(round_trip(*layout, matrix, shuffled(cols)), matrix) << rows << " x " << cols;
      }
    }
  }
}

TEST(SpatialLayout, stored_picture_sizes_cut_both_ways) {
  const SpatialLayout layout{.rows = 50, .cols = 70, .width = 20, .height = 33, .row_cuts = 3, .col_cuts = 3};
  EXPECT_EQ(layout.pictures(), 9u);
  EXPECT_EQ(layout.picture(1), (PictureRect{20, 20, 0, 33}));  // outputs fastest
  EXPECT_EQ(layout.picture(8), (PictureRect{40, 10, 66, 4}));
  auto matrix = numbered(50 * 70);
  EXPECT_EQ(round_trip(layout, matrix, shuffled(70)), matrix);
}

TEST(SpatialLayout, plane_x_is_the_row_and_plane_y_the_ordered_column) {
  std::vector<uint16_t> matrix = {10, 11, 12,   //
                                  20, 21, 22};  // 2 outputs, 3 inputs
  const SpatialLayout layout{.rows = 2, .cols = 3, .width = 4, .height = 4, .row_cuts = 1, .col_cuts = 1};
  const std::vector<uint32_t> order = {2, 0, 1};
  Plane plane(4, 4);
  gather(layout, 0, PlaneView(matrix.data(), 2, 3), order, 99, plane.view());
  const std::vector<uint16_t> expected = {12, 22, 99, 99,  //
                                          10, 20, 99, 99,  //
                                          11, 21, 99, 99,  //
                                          99, 99, 99, 99};
  EXPECT_TRUE(std::equal(expected.begin(), expected.end(), plane.view().data));
}

TEST(SpatialLayout, pictures_have_the_size_aimed_at_and_cover_the_matrix) {
  for (auto [rows, cols] : std::vector<std::pair<uint64_t, uint64_t>>{{576, 576},
                                                                      {1536, 576},
                                                                      {49152, 576},
                                                                      {128256, 4096},
                                                                      {14336, 4096},
                                                                      {4096, 53248},
                                                                      {100000, 8},
                                                                      {8, 100000}}) {
    const auto layout = SpatialLayout::make(rows, cols);
    ASSERT_TRUE(layout.is_ok());
    EXPECT_LE(layout->width, kMaxPictureSide + 32);
    EXPECT_LE(layout->height, kMaxPictureSide);
    const uint64_t samples = uint64_t{layout->width} * layout->height;
    EXPECT_LE(samples, uint64_t{1} << 20) << rows << " x " << cols;
    if (rows * cols >= (1u << 20) && layout->col_cuts == 1 && layout->width < kMaxPictureSide) {
      EXPECT_GE(samples, uint64_t{1} << 18);
    }
    uint64_t weights = 0;
    for (uint64_t i = 0; i < layout->pictures(); ++i)
      weights += layout->picture(i).rows * layout->picture(i).cols;
    EXPECT_EQ(weights, rows * cols);
  }
}

TEST(SpatialLayout, empty_and_oversized_inputs_are_errors) {
  EXPECT_EQ(SpatialLayout::make(0, 8).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(SpatialLayout::make(8, 0).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(SpatialLayout::make(8, 8, 0).error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(SpatialLayout::make(uint64_t{1} << 60, uint64_t{1} << 60).error().kind, ErrorKind::kLimit);
}

}  // namespace
}  // namespace llmcodec
