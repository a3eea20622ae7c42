// SPDX-License-Identifier: BSD-3-Clause
// Spatial layout: weights are pixels. Plane x = matrix row (output), plane y = matrix column (input), the
// plane cut into pictures of one size. Picture number = input cut * row_cuts + output cut: inputs in coding
// order, outputs fastest. The last pictures of both directions are padded with one constant sample, which
// readers ignore. Column order: plane line k (counted over all input cuts) holds matrix column order[k]; an
// empty order is the identity.
//
// Example (PlaneView matrix, std::span<const uint32_t> order, uint16_t zero_sample):
//
//   LLMC_ASSIGN_OR_RETURN(const SpatialLayout layout, SpatialLayout::make(matrix.rows, matrix.cols));
//   Plane plane(layout.width, layout.height);
//   for (uint64_t i = 0; i < layout.pictures(); ++i) {
//     const PictureRect rect = layout.picture(i);
//     const PlaneView rows = matrix.block(rect.first_row, 0, rect.rows, matrix.cols);
//     gather(layout, i, rows, order, zero_sample, plane.view());
//     use(plane);
//   }
#pragma once

#include <cstdint>
#include <span>

#include "llmcodec/matrix_view.h"
#include "llmcodec/plane.h"
#include "llmcodec/status.h"

namespace llmcodec {

// Unit of threads and random access; pictures have about 0.25 to 1 million weights.
inline constexpr uint64_t kDefaultPictureWeights = uint64_t{1} << 19;
inline constexpr uint64_t kMaxPictureSide = 16384;

// The part of a matrix that a picture holds: rows (outputs) and coded column positions
// (inputs in coding order).
struct PictureRect {
  uint64_t first_row = 0, rows = 0;
  uint64_t first_col = 0, cols = 0;
  bool operator==(const PictureRect&) const = default;
};

struct SpatialLayout {
  uint64_t rows = 0, cols = 0;     // of the matrix
  uint32_t width = 0, height = 0;  // of every picture; stored in the archive
  uint64_t row_cuts = 0, col_cuts = 0;

  // Chooses the picture size for about `target` weights per picture:
  //   inputs   one cut up to 16384 columns; else the fewest equal cuts, rounded up to a multiple of 32
  //            lines (strips never cross pictures)
  //   outputs  round(weights / target) cuts, at least one and no wider than 16384; the width is rounded
  //            up to a multiple of 32 unless there is only one cut
  // InvalidArgument for an empty matrix or a zero target.
  static Result<SpatialLayout> make(uint64_t rows, uint64_t cols, uint64_t target = kDefaultPictureWeights);

  uint64_t pictures() const { return row_cuts * col_cuts; }
  // index < pictures().
  PictureRect picture(uint64_t index) const;
};

// matrix_rows: rows [rect.first_row, + rect.rows) of the matrix, all its columns. They become the picture's
// samples: transposed, columns in `order`, padded with `pad`. plane: height x width. order: empty, or one
// entry per matrix column.
void gather(const SpatialLayout& layout, uint64_t index, PlaneView matrix_rows,
            std::span<const uint32_t> order, uint16_t pad, MutablePlaneView plane);
// The inverse: fills the columns of `matrix_rows` that this picture holds; the others stay as they are.
void scatter(const SpatialLayout& layout, uint64_t index, PlaneView plane, std::span<const uint32_t> order,
             MutablePlaneView matrix_rows);

}  // namespace llmcodec
