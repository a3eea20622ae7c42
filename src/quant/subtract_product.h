// SPDX-License-Identifier: BSD-3-Clause
// C -= A B: the one kernel of the closed loop and of the estimate of moments. Every element's sum runs in an
// order that depends on the inner dimension alone, so results are the same bits on any CPU and for any split
// of C's rows or columns.
//   float    c = fma(-a[p], b[p], c) for p = 0, 1, ...: each step rounded once
//   double   products and sums of eight p at a time, each rounded
#pragma once

#include <cstddef>

#include "llmcodec/matrix_view.h"

namespace llmcodec {

// A, read as A(r, p) = data[r * row_step + p * inner_step]: a view or its transpose.
template <class T>
struct Coefficients {
  const T* data = nullptr;
  size_t row_step = 0;
  size_t inner_step = 0;
};

// c: rows x cols; a: rows x inner; b: inner x cols. c must not overlap the others. Fastest where b's stride
// is no multiple of 4 KiB.
void subtract_product(MatrixView<float> c, Coefficients<float> a, MatrixView<const float> b);
void subtract_product(MatrixView<double> c, Coefficients<double> a, MatrixView<const double> b);

}  // namespace llmcodec
