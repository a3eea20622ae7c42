// SPDX-License-Identifier: BSD-3-Clause
#include "quant/outliers.h"

#include <gtest/gtest.h>

#include <limits>

#include "random_matrix.h"

namespace llmcodec {
namespace {

TEST(Outliers, apply_writes_exactly_the_rows_given) {
  OutlierList list;
  list.add(3, 30);    // row 0
  list.add(4, 40);    // row 1, column 0
  list.add(11, 110);  // row 2, last column
  ASSERT_TRUE(validate(list, 12).is_ok());
  testing::OwnedMatrix rows(1, 4);
  apply_outliers(list, 1, rows.view());
  EXPECT_EQ(rows.values, (std::vector<float>{40, 0, 0, 0}));
  testing::OwnedMatrix all(3, 4);
  apply_outliers(list, 0, all.view());
  EXPECT_EQ(all.values, (std::vector<float>{0, 0, 0, 30, 40, 0, 0, 0, 0, 0, 0, 110}));
}

TEST(Outliers, sort_keeps_the_first_of_equal_indices) {
  OutlierList list;
  for (auto [index, value] : {std::pair{9, 1.f}, {2, 2.f}, {9, 3.f}, {0, 4.f}}) list.add(index, value);
  sort_outliers(list);
  EXPECT_EQ(list.indices, (std::vector<uint64_t>{0, 2, 9}));
  EXPECT_EQ(list.values, (std::vector<float>{4, 2, 1}));
}

TEST(Outliers, every_broken_list_is_named) {
  EXPECT_TRUE(validate(OutlierList{}, 0).is_ok());
  EXPECT_EQ(validate(OutlierList{{1, 2}, {1.f}}, 10).error().kind, ErrorKind::kCorrupt);
  EXPECT_FALSE(validate(OutlierList{{10}, {1.f}}, 10).is_ok());
  EXPECT_FALSE(validate(OutlierList{{3, 3}, {1.f, 1.f}}, 10).is_ok());
  EXPECT_FALSE(validate(OutlierList{{3, 2}, {1.f, 1.f}}, 10).is_ok());
  EXPECT_FALSE(validate(OutlierList{{3}, {std::numeric_limits<float>::quiet_NaN()}}, 10).is_ok());
}

}  // namespace
}  // namespace llmcodec
