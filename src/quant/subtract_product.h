// SPDX-License-Identifier: BSD-3-Clause
// C -= A B: the one kernel of the closed loop and of the estimate of moments. c = fma(-a[p], b[p], c) for p = 0, 1, ...:
// each step rounded once, in this order, so that results are the same bits on any CPU and for any split of C's rows or
// columns.
#pragma once

#include <cstddef>

#include "llmcodec/matrix_view.h"

namespace llmcodec {

// A, read as A(r, p) = data[r * row_step + p * inner_step]: a view or its transpose.
struct Coefficients {
  const float* data = nullptr;
  size_t row_step = 0;
  size_t inner_step = 0;
};

// c: rows x cols; a: rows x inner; b: inner x cols. c must not overlap the others. Fastest where b's stride
// is no multiple of 4 KiB.
void subtract_product(MatrixView<float> c, Coefficients a, MatrixView<const float> b);

}  // namespace llmcodec
