// SPDX-License-Identifier: BSD-3-Clause
// Matrices of two input cuts, whose pictures hold some of the columns each.
#include "coding/column_order.h"

#include <gtest/gtest.h>

#include <numeric>

namespace llmcodec {
namespace {

constexpr size_t kRows = 2, kCols = 5;
const std::vector<uint32_t> kOrder = {4, 2, 0, 3, 1};

struct Matrix {
  std::vector<float> values = std::vector<float>(kRows * kCols);
  MatrixView<float> view() { return {values.data(), kRows, kCols}; }
};

Matrix counting() {
  Matrix matrix;
  std::iota(matrix.values.begin(), matrix.values.end(), 1.0f);
  return matrix;
}

PictureRect rect(uint64_t first_col, uint64_t cols) {
  PictureRect rect;
  rect.rows = kRows;
  rect.first_col = first_col;
  rect.cols = cols;
  return rect;
}

TEST(ColumnOrder, coded_order_and_back_is_the_identity_for_the_pictures_columns) {
  Matrix source = counting(), back;
  for (const PictureRect& picture : {rect(0, 3), rect(3, 2)}) {
    std::vector<float> coded(kRows * picture.cols);
    const MatrixView<float> view(coded.data(), kRows, picture.cols);
    to_coded_order(picture, kOrder, source.view(), view);
    EXPECT_EQ(view.at(0, 0), source.view().at(0, kOrder[picture.first_col]));
    from_coded_order(picture, kOrder, view, back.view());
  }
  EXPECT_EQ(back.values, source.values);
}

TEST(ColumnOrder, only_the_pictures_columns_are_copied) {
  Matrix source = counting(), target;
  copy_columns(rect(0, 2), kOrder, source.view(), target.view());  // matrix columns 4 and 2
  EXPECT_EQ(target.values, (std::vector<float>{0, 0, 3, 0, 5, 0, 0, 8, 0, 10}));
  copy_columns({}, {}, source.view(), target.view());
  EXPECT_EQ(target.values, source.values);
}

TEST(ColumnOrder, errors_are_counted_once_over_all_pictures) {
  Matrix source = counting(), restored = counting();
  restored.view().at(1, 3) += 2;  // in the second picture
  ErrorMetrics first, second;
  add_columns(rect(0, 3), kOrder, source.view(), restored.view(), &first);
  add_columns(rect(3, 2), kOrder, source.view(), restored.view(), &second);
  EXPECT_EQ(first.error_energy(), 0);
  EXPECT_EQ(second.error_energy(), 4);
  EXPECT_EQ(first.count() + second.count(), kRows * kCols);
}

TEST(ColumnOrder, outliers_go_to_the_picture_that_holds_their_column) {
  OutlierList all, kept;
  for (uint64_t i = 0; i < kRows * kCols; ++i) all.add(i, static_cast<float>(i));
  keep_columns(rect(3, 2), kCols, kOrder, &all, &kept);  // matrix columns 3 and 1
  EXPECT_EQ(kept.indices, (std::vector<uint64_t>{1, 3, 6, 8}));
}

}  // namespace
}  // namespace llmcodec
