// SPDX-License-Identifier: BSD-3-Clause
// A matrix that owns its elements; views of it go everywhere else.
#pragma once

#include <vector>

#include "llmcodec/matrix_view.h"

namespace llmcodec {

template <class T>
class OwnedMatrix {
 public:
  OwnedMatrix(size_t rows, size_t cols) : rows_(rows), cols_(cols), data_(rows * cols) {}
  MatrixView<T> view() { return {data_.data(), rows_, cols_}; }
  MatrixView<const T> view() const { return {data_.data(), rows_, cols_}; }

 private:
  size_t rows_, cols_;
  std::vector<T> data_;
};

}  // namespace llmcodec
