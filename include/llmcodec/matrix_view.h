// SPDX-License-Identifier: BSD-3-Clause
// A view of a row-major matrix: shape, stride, no ownership. Copy it freely; the memory behind
// it must outlive it.
#pragma once

#include <cstddef>
#include <span>
#include <type_traits>

namespace llmcodec {

template <class T>
struct MatrixView {
  T* data = nullptr;
  size_t rows = 0;
  size_t cols = 0;
  size_t stride = 0;  // elements from one row to the next, >= cols

  MatrixView() = default;
  MatrixView(T* data_in, size_t rows_in, size_t cols_in) : MatrixView(data_in, rows_in, cols_in, cols_in) {}
  MatrixView(T* data_in, size_t rows_in, size_t cols_in, size_t stride_in)
      : data(data_in), rows(rows_in), cols(cols_in), stride(stride_in) {}

  std::span<T> row(size_t r) const { return {data + r * stride, cols}; }
  T& at(size_t r, size_t c) const { return data[r * stride + c]; }
  size_t size() const { return rows * cols; }
  // Rows [r, r + n) and columns [c, c + m).
  MatrixView block(size_t r, size_t c, size_t n, size_t m) const {
    return {data + r * stride + c, n, m, stride};
  }
  operator MatrixView<const T>() const requires(!std::is_const_v<T>) { return {data, rows, cols, stride}; }
};

}  // namespace llmcodec
