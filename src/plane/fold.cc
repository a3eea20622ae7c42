// SPDX-License-Identifier: BSD-3-Clause
#include "plane/fold.h"

#include "base/checked_math.h"

namespace llmcodec {
namespace {

// Calls move(folded row, folded column, row of the part, its column) for all weights of folded rows [first, first + rows)
// that stand in a part of the matrix: its rows [row, row + part_rows).
template <class Move>
void for_each_place(const Fold& fold, uint64_t first, uint64_t rows, uint64_t row, uint64_t part_rows,
                    Move move) {
  const bool by_rows = fold.lines == Lines::kRows;
  const uint64_t first_line = by_rows ? row : 0, end_line = by_rows ? row + part_rows : fold.cols;
  for (uint64_t r = 0; r < rows; ++r) {
    const uint64_t begin = (first + r) * fold.piece, weights = fold.weights_of(first + r);
    for (uint64_t line = first_line; line < end_line; ++line) {
      for (uint64_t k = 0; k < weights; ++k)
        move(r, line * kMaxPiece + k, (by_rows ? line : begin + k) - row, by_rows ? begin + k : line);
    }
  }
}

}  // namespace

const char* lines_name(Lines lines) {
  return lines == Lines::kColumns ? "columns" : "rows";
}

std::optional<Lines> lines_from_name(std::string_view name) {
  for (const Lines lines : {Lines::kRows, Lines::kColumns}) {
    if (name == lines_name(lines)) return lines;
  }
  return std::nullopt;
}

Fold Fold::make(Lines lines, uint64_t rows, uint64_t cols) {
  Fold fold{lines, rows, cols, kMaxPiece};
  fold.piece = static_cast<uint32_t>(ceil_div(fold.line_length(), fold.pieces()));
  return fold;
}

void fold_rows(const Fold& fold, MatrixView<const float> part, uint64_t row, uint64_t first,
               MatrixView<float> folded) {
  for_each_place(fold, first, folded.rows, row, part.rows,
                 [&](uint64_t r, uint64_t c, uint64_t i, uint64_t j) { folded.at(r, c) = part.at(i, j); });
}

void unfold_rows(const Fold& fold, MatrixView<const float> folded, uint64_t first, MatrixView<float> matrix) {
  for_each_place(fold, first, folded.rows, 0, fold.rows,
                 [&](uint64_t r, uint64_t c, uint64_t i, uint64_t j) { matrix.at(i, j) = folded.at(r, c); });
}

}  // namespace llmcodec
