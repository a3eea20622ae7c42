// SPDX-License-Identifier: BSD-3-Clause
// One matrix of a tensor as a RowReader.
#pragma once

#include "quant/row_reader.h"
#include "tensor/matrix_shape.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

// Rows of matrix `matrix` of a tensor, read from its source. Thread-safe.
class TensorRowReader final : public RowReader {
 public:
  TensorRowReader(const TensorSource& source, size_t index, const MatrixShape& shape, uint64_t matrix)
      : source_(source), index_(index), shape_(shape), matrix_(matrix) {}
  size_t rows() const override { return shape_.rows; }
  size_t cols() const override { return shape_.cols; }
  Status read_rows(size_t first, MatrixView<float> out) override;

 private:
  const TensorSource& source_;
  size_t index_;
  MatrixShape shape_;
  uint64_t matrix_;
};

}  // namespace llmcodec
