// SPDX-License-Identifier: BSD-3-Clause
// Rows of a matrix that is in memory; the view's memory must outlive the reader. Thread-safe.
#pragma once

#include <algorithm>

#include "quant/row_reader.h"

namespace llmcodec {

class MemoryRowReader final : public RowReader {
 public:
  explicit MemoryRowReader(MatrixView<const float> matrix) : matrix_(matrix) {}
  size_t rows() const override { return matrix_.rows; }
  size_t cols() const override { return matrix_.cols; }
  Status read_rows(size_t first, MatrixView<float> out) override {
    for (size_t r = 0; r < out.rows; ++r) {
      const auto source = matrix_.row(first + r);
      std::copy(source.begin(), source.end(), out.row(r).begin());
    }
    return Status::ok();
  }

 private:
  MatrixView<const float> matrix_;
};

}  // namespace llmcodec
