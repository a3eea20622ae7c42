// SPDX-License-Identifier: BSD-3-Clause
#include "plane/spatial_layout.h"

#include <algorithm>

#include "base/checked_math.h"
#include "base/error.h"

namespace llmcodec {
namespace {

constexpr uint64_t kCutAlignment = 32;  // coding units of all codecs divide it
constexpr size_t kTile = 32;  // 32 x 32 samples of both sides: 4 KiB, stays in the first-level cache

// Side of equal cuts of `length` into `cuts` parts.
uint64_t cut_side(uint64_t length, uint64_t cuts) {
  return cuts <= 1 ? length : align_up(ceil_div(length, cuts), kCutAlignment);
}

// Calls copy(row, position, column) for every weight of the rectangle, in square tiles: both the matrix and
// the plane are walked along their lines.
template <class Copy>
void for_each_weight(const PictureRect& rect, std::span<const uint32_t> order, Copy copy) {
  for (size_t row0 = 0; row0 < rect.rows; row0 += kTile) {
    const size_t row1 = std::min<size_t>(row0 + kTile, rect.rows);
    for (size_t col0 = 0; col0 < rect.cols; col0 += kTile) {
      const size_t col1 = std::min<size_t>(col0 + kTile, rect.cols);
      for (size_t position = col0; position < col1; ++position) {
        const size_t coded = rect.first_col + position;
        const size_t column = order.empty() ? coded : order[coded];
        for (size_t row = row0; row < row1; ++row) copy(row, position, column);
      }
    }
  }
}

}  // namespace

Result<SpatialLayout> SpatialLayout::make(uint64_t rows, uint64_t cols, uint64_t target) {
  if (rows == 0 || cols == 0 || target == 0) {
    return error(ErrorKind::kInvalidArgument, "no pictures for a {} x {} matrix with {} weights each", rows,
                 cols, target);
  }
  const uint64_t height = cut_side(cols, ceil_div(cols, kMaxPictureSide));
  const auto weights = checked_mul(rows, height);
  if (!weights) return error(ErrorKind::kLimit, "a matrix of {} x {} weights is too large", rows, cols);
  const uint64_t wanted = *weights / target + (*weights % target >= ceil_div(target, 2));
  const uint64_t cuts = std::max({uint64_t{1}, std::min(wanted, rows), ceil_div(rows, kMaxPictureSide)});
  const uint64_t width = cut_side(rows, cuts);
  return SpatialLayout{.rows = rows,
                       .cols = cols,
                       .width = static_cast<uint32_t>(width),
                       .height = static_cast<uint32_t>(height),
                       .row_cuts = ceil_div(rows, width),
                       .col_cuts = ceil_div(cols, height)};
}

PictureRect SpatialLayout::picture(uint64_t index) const {
  PictureRect rect;
  rect.first_row = index % row_cuts * width;
  rect.rows = std::min<uint64_t>(width, rows - rect.first_row);
  rect.first_col = index / row_cuts * height;
  rect.cols = std::min<uint64_t>(height, cols - rect.first_col);
  return rect;
}

void gather(const SpatialLayout& layout, uint64_t index, PlaneView matrix_rows,
            std::span<const uint32_t> order, uint16_t pad, MutablePlaneView plane) {
  const PictureRect rect = layout.picture(index);
  for (size_t y = 0; y < plane.rows; ++y) {
    const auto line = plane.row(y);
    std::fill(line.begin() + (y < rect.cols ? rect.rows : 0), line.end(), pad);
  }
  for_each_weight(rect, order, [&](size_t row, size_t position, size_t column) {
    plane.at(position, row) = matrix_rows.at(row, column);
  });
}

void scatter(const SpatialLayout& layout, uint64_t index, PlaneView plane, std::span<const uint32_t> order,
             MutablePlaneView matrix_rows) {
  for_each_weight(layout.picture(index), order, [&](size_t row, size_t position, size_t column) {
    matrix_rows.at(row, column) = plane.at(position, row);
  });
}

}  // namespace llmcodec
