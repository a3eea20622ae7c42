// SPDX-License-Identifier: BSD-3-Clause
// Folding: how a matrix with few but long lines fills the blocks of the spectral layout. A block holds 32 inputs and
// some 14 to 31 outputs; of a matrix with 4 rows it would hold little but padding. So every line of such a matrix (a
// row, or a column where columns are the long ones) is cut into the fewest pieces of at most 32 weights, all as long
// as the first but the last, and the folded matrix is laid out instead (normative):
//   piece p of line l  =  row p, from column 32 l on
// One strip of blocks is one line, which has one scale. What lies beyond a piece's end is padding.
//
// Example (MatrixView<const float> matrix):
//
//   const Fold fold = Fold::make(Lines::kRows, matrix.rows, matrix.cols);  // of 8 x 576: 18 pieces in each of 8 lines
//   std::vector<float> folded(fold.pieces() * fold.folded_cols());
//   fold_rows(fold, matrix, 0, 0, {folded.data(), fold.pieces(), fold.folded_cols()});
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "llmcodec/matrix_view.h"
#include "plane/layout.h"

namespace llmcodec {

inline constexpr uint32_t kMaxPiece = 32;   // inputs of a strip
inline constexpr uint64_t kMaxLines = 512;  // strips of a picture

// As archives spell it; only lines that are folded have a name.
const char* lines_name(Lines lines);
std::optional<Lines> lines_from_name(std::string_view name);

struct Fold {
  Lines lines = Lines::kRows;
  uint64_t rows = 0, cols = 0;  // of the matrix
  uint32_t piece = 0;           // weights of a piece, but of each line's last one: 1..kMaxPiece

  // Of a matrix that is not empty. `lines`: which are folded, not kNone.
  static Fold make(Lines lines, uint64_t rows, uint64_t cols);

  uint64_t line_count() const { return lines == Lines::kRows ? rows : cols; }
  uint64_t line_length() const { return lines == Lines::kRows ? cols : rows; }
  uint64_t pieces() const { return (line_length() + piece - 1) / piece; }  // of each line
  uint64_t folded_cols() const { return line_count() * kMaxPiece; }
  // Weights of piece p: all but the last one of a line are whole.
  uint64_t weights_of(uint64_t p) const {
    const uint64_t left = line_length() - p * piece;
    return left < piece ? left : piece;
  }
  bool is_padding(uint64_t row, uint64_t col) const { return col % kMaxPiece >= weights_of(row); }
  // Flat index in the matrix, row * cols + col, of a place that is no padding.
  uint64_t index_of(uint64_t row, uint64_t col) const {
    const uint64_t line = col / kMaxPiece, at = row * piece + col % kMaxPiece;
    return lines == Lines::kRows ? line * cols + at : at * cols + line;
  }
};

// What rows [first, first + folded.rows) of the folded matrix have of a part of the matrix: its rows from `row` on. Lines
// by rows: any rows. By columns: those rows at least that these pieces are of. The rest, and padding, is left as it is.
void fold_rows(const Fold& fold, MatrixView<const float> part, uint64_t row, uint64_t first,
               MatrixView<float> folded);
// The inverse, into all of the matrix.
void unfold_rows(const Fold& fold, MatrixView<const float> folded, uint64_t first, MatrixView<float> matrix);

}  // namespace llmcodec
