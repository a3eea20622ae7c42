// SPDX-License-Identifier: BSD-3-Clause
// The values of a quantised tensor as its checkpoint lays them out: codes, scales and zeros of a TensorSource behind one
// reader of rectangles. Nothing is held between calls, so memory is what a caller asks for.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "llmcodec/status.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

struct Rect {
  uint64_t row = 0, rows = 0, col = 0, cols = 0;
};

// Matrices of the same shape below each other. Thread-safe.
class StoredMatrix {
 public:
  StoredMatrix(uint64_t rows, uint64_t cols) : rows_(rows), cols_(cols) {}
  virtual ~StoredMatrix() = default;
  uint64_t rows() const { return rows_; }  // of all matrices
  uint64_t cols() const { return cols_; }
  // The dequantised values of `rect`, row by row. Corrupt where an index of the checkpoint leads outside of it.
  virtual Status read(const Rect& rect, std::span<float> out) const = 0;

 private:
  uint64_t rows_, cols_;
};

// Values [first, first + out.size()) of a small tensor (scales, zeros), as floats.
using ValueReader = std::function<Status(uint64_t first, std::span<float> out)>;

// Values as they stand: floating types, I8, and U8 or F8_E8M0 as powers of two (2^(code - 127), 255 is NaN).
// `source` must live as long.
ValueReader plain_values(const TensorSource& source, size_t tensor);

// One number for each block of a matrix.
struct Grid {
  ValueReader values = {};  // [matrices, rows, cols] of the grid
  uint64_t rows = 1;        // of one matrix
  uint64_t cols = 1;
  uint64_t matrix_rows = 1;  // of weights
  uint64_t row_block = 1, col_block = 1;

  uint64_t row_of(uint64_t row) const { return row / matrix_rows * rows + row % matrix_rows / row_block; }
};

// The part of a grid that a rectangle needs.
class GridPart {
 public:
  static Result<GridPart> read(const Grid& grid, const Rect& rect);
  // The numbers for a row of weights inside the rectangle, from grid column first_col() on.
  std::span<const float> row(uint64_t row) const {
    return std::span(values_).subspan((grid_->row_of(row) - first_row_) * cols_, cols_);
  }
  uint64_t first_col() const { return first_col_; }

 private:
  const Grid* grid_ = nullptr;
  uint64_t first_row_ = 0, first_col_ = 0, cols_ = 0;
  std::vector<float> values_;
};

// Bytes [first, first + out.size()) of a tensor's I32 values.
Status read_words(const TensorSource& source, size_t tensor, uint64_t first, std::span<uint32_t> out);
// Which group each input of a layer belongs to, of I32 [inputs]. Corrupt unless all are below `groups`.
Result<std::vector<uint32_t>> read_groups(const TensorSource& source, size_t tensor, uint64_t first,
                                          uint64_t count, uint64_t groups);

}  // namespace llmcodec
