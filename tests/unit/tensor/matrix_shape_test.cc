// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/matrix_shape.h"

#include <gtest/gtest.h>

#include <vector>

namespace llmcodec {
namespace {

using Shape = std::vector<uint64_t>;

TEST(MatrixShape, two_sides_are_the_matrix) {
  EXPECT_EQ(matrix_shape(Shape{576, 1536}), (MatrixShape{1, 576, 1536}));
  EXPECT_EQ(matrix_shape(Shape{1, 3}), (MatrixShape{1, 1, 3}));
}

TEST(MatrixShape, the_first_of_three_sides_counts_experts) {
  EXPECT_EQ(matrix_shape(Shape{4, 64, 32}), (MatrixShape{4, 64, 32}));
}

TEST(MatrixShape, convolution_kernels_are_one_matrix) {
  EXPECT_EQ(matrix_shape(Shape{384, 80, 3}), (MatrixShape{1, 384, 240}));
  EXPECT_EQ(matrix_shape(Shape{64, 3, 7, 7}), (MatrixShape{1, 64, 147}));
  EXPECT_EQ(matrix_shape(Shape{64, 16, 7, 8}), (MatrixShape{1, 64, 896}));
  EXPECT_EQ(matrix_shape(Shape{1152, 3, 14, 14}), (MatrixShape{1, 1152, 588}));
  EXPECT_EQ(matrix_shape(Shape{1152, 3, 2, 14, 14}), (MatrixShape{1, 1152, 1176}));
  EXPECT_EQ(one_matrix(Shape{512, 512, 10}), (MatrixShape{1, 512, 5120}));
}

TEST(MatrixShape, no_matrix_in_vectors_empty_and_overflowing_shapes) {
  EXPECT_FALSE(matrix_shape(Shape{}));
  EXPECT_FALSE(matrix_shape(Shape{4096}));
  EXPECT_FALSE(matrix_shape(Shape{0, 64}));
  EXPECT_FALSE(matrix_shape(Shape{8, 64, 0}));
  EXPECT_FALSE(matrix_shape(Shape{uint64_t{1} << 33, uint64_t{1} << 33}));
}

}  // namespace
}  // namespace llmcodec
