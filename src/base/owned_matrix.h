// SPDX-License-Identifier: BSD-3-Clause
// A matrix that owns its elements; views of it go everywhere else.
#pragma once

#include <vector>

#include "llmcodec/matrix_view.h"

namespace llmcodec {

template <class T>
class OwnedMatrix {
 public:
  OwnedMatrix(size_t rows, size_t cols) : OwnedMatrix(rows, cols, cols) {}
  OwnedMatrix(size_t rows, size_t cols, size_t stride)
      : rows_(rows), cols_(cols), stride_(stride), data_(rows * stride) {}
  MatrixView<T> view() { return {data_.data(), rows_, cols_, stride_}; }
  MatrixView<const T> view() const { return {data_.data(), rows_, cols_, stride_}; }

 private:
  size_t rows_, cols_, stride_;
  std::vector<T> data_;
};

}  // namespace llmcodec
