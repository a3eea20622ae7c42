// SPDX-License-Identifier: BSD-3-Clause
// Spatial layout: weights are pixels. Plane x = matrix row (output), plane y = matrix column (input), the
// plane cut into pictures of one size. Picture number = output cut * input_cuts + input cut, so a range of
// matrix rows is a range of pictures. Cuts (normative, `make` recomputes them from rows, cols and target):
//   along inputs   input_cuts = ceil(cols / 16384); height = cols for one cut, else ceil(cols / input_cuts)
//   rounded up to
//                  a multiple of 32 (strips never cross pictures)
//   along outputs  cuts = max(1, round(rows * height / target), ceil(rows / 16384)); width = rows for one
//   cut, else
//                  ceil(rows / cuts) rounded up to a multiple of 32; then cuts = ceil(rows / width)
// The last pictures of both directions are padded with one constant sample, which readers ignore.
// Column order: plane row k (counted over all input cuts) holds matrix column order[k]; empty order =
// identity.
//
//   LLMC_ASSIGN_OR_RETURN(SpatialLayout layout, SpatialLayout::make(rows, cols));
//   for (size_t i = 0; i < layout.pictures(); ++i) {
//     PictureRect rect = layout.picture(i);
//     gather(layout, i, matrix.block(rect.first_row, 0, rect.rows, cols), order, zero_sample, plane);
//   }
#pragma once

#include <cstdint>
#include <span>

#include "llmcodec/matrix_view.h"
#include "llmcodec/plane.h"
#include "llmcodec/status.h"

namespace llmcodec {

inline constexpr uint64_t kDefaultPictureWeights = uint64_t{1}
                                                   << 19;  // unit of threads and random access: 0.25..1 M
inline constexpr uint64_t kMaxPictureSide = 16384;

// The part of a matrix that a picture holds: rows (outputs) and coded column positions (inputs, in coding
// order).
struct PictureRect {
  uint64_t first_row = 0, rows = 0;
  uint64_t first_col = 0, cols = 0;
};

struct SpatialLayout {
  uint64_t rows = 0, cols = 0;     // of the matrix
  uint32_t width = 0, height = 0;  // of every picture
  uint32_t row_cuts = 0, col_cuts = 0;

  // InvalidArgument for an empty matrix or a zero target.
  static Result<SpatialLayout> make(uint64_t rows, uint64_t cols, uint64_t target = kDefaultPictureWeights);
  uint64_t pictures() const { return uint64_t{row_cuts} * col_cuts; }
  PictureRect picture(uint64_t index) const;
  // Pictures that hold matrix rows [first_row, first_row + count): [first, first + count) in picture numbers.
  struct Range {
    uint64_t first = 0, count = 0;
  };
  Range pictures_of_rows(uint64_t first_row, uint64_t count) const;
};

// matrix_rows: rows [rect.first_row, + rect.rows) of the matrix, all its columns -> the picture's samples
// (transposed, padded with `pad`). plane: layout.height x layout.width. order: empty or one entry per matrix
// column.
void gather(const SpatialLayout& layout, uint64_t index, PlaneView matrix_rows,
            std::span<const uint32_t> order, uint16_t pad, MutablePlaneView plane);
// The inverse: fills the columns of `matrix_rows` that this picture holds; the others stay as they are.
void scatter(const SpatialLayout& layout, uint64_t index, PlaneView plane, std::span<const uint32_t> order,
             MutablePlaneView matrix_rows);

}  // namespace llmcodec
