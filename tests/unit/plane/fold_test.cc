// SPDX-License-Identifier: BSD-3-Clause
#include "plane/fold.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

namespace llmcodec {
namespace {

TEST(Fold, lines_are_cut_into_the_fewest_pieces_of_equal_length) {
  const Fold a = Fold::make(Lines::kRows, 8, 100);
  EXPECT_EQ(a.pieces(), 4u);
  EXPECT_EQ(a.piece, 25u);
  EXPECT_EQ(a.line_count(), 8u);
  EXPECT_EQ(a.folded_cols(), 256u);
  EXPECT_EQ(Fold::make(Lines::kColumns, 576, 4).piece, 32u);
  EXPECT_EQ(Fold::make(Lines::kColumns, 576, 4).pieces(), 18u);
  EXPECT_EQ(Fold::make(Lines::kRows, 1, 33).piece, 17u);
}

// The example of docs/format.md: weight 30 of row 3 stands in row 1, column 101.
TEST(Fold, places_are_those_of_the_format) {
  const Fold fold = Fold::make(Lines::kRows, 8, 100);
  EXPECT_EQ(fold.index_of(1, 101), 3 * 100 + 30u);
  EXPECT_FALSE(fold.is_padding(1, 101));
  EXPECT_TRUE(fold.is_padding(1, 96 + 25)) << "behind a piece";
  const Fold columns = Fold::make(Lines::kColumns, 100, 8);
  EXPECT_EQ(columns.index_of(1, 101), 30 * 8 + 3u);
}

TEST(Fold, round_trip_of_all_small_shapes) {
  for (const Lines lines : {Lines::kRows, Lines::kColumns}) {
    for (uint64_t few = 1; few <= 5; ++few) {
      for (uint64_t many = 1; many <= 140; many += 3) {
        const Fold fold = lines == Lines::kRows ? Fold::make(lines, few, many) : Fold::make(lines, many, few);
        std::vector<float> matrix(few * many), folded(fold.pieces() * fold.folded_cols(), -1),
            back(matrix.size(), -2);
        std::iota(matrix.begin(), matrix.end(), 0.0f);
        const MatrixView<float> view(folded.data(), fold.pieces(), fold.folded_cols());
        fold_rows(fold, {matrix.data(), fold.rows, fold.cols}, 0, 0, view);
        for (uint64_t r = 0; r < view.rows; ++r) {
          for (uint64_t c = 0; c < view.cols; ++c)
            EXPECT_EQ(view.at(r, c), fold.is_padding(r, c) ? -1 : static_cast<float>(fold.index_of(r, c)));
        }
        // In two parts, as two pictures would come.
        const uint64_t half = fold.pieces() / 2;
        unfold_rows(fold, view.block(0, 0, half, view.cols), 0, {back.data(), fold.rows, fold.cols});
        unfold_rows(fold, view.block(half, 0, view.rows - half, view.cols), half,
                    {back.data(), fold.rows, fold.cols});
        EXPECT_EQ(back, matrix) << few << " x " << many;
      }
    }
  }
}

TEST(Fold, names_of_lines) {
  EXPECT_EQ(lines_from_name("rows"), Lines::kRows);
  EXPECT_EQ(lines_from_name("columns"), Lines::kColumns);
  EXPECT_FALSE(lines_from_name("none").has_value());
}

}  // namespace
}  // namespace llmcodec
