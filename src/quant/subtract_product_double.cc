// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>

#include "base/wider_vectors.h"
#include "quant/subtract_product.h"

namespace llmcodec {
namespace {

constexpr size_t kUnroll = 8;     // rows of b per pass over a row of c
constexpr size_t kTileCols = 64;  // of a row of c,
constexpr size_t kTileRows = 32;  // with as many rows of b that is 16 KiB: first-level cache

LLMC_INLINE void subtract_eight(double* __restrict c, const double* a, size_t a_step, const double* b,
                                size_t b_step, size_t n) {
  const double a0 = a[0], a1 = a[a_step], a2 = a[2 * a_step], a3 = a[3 * a_step];
  const double a4 = a[4 * a_step], a5 = a[5 * a_step], a6 = a[6 * a_step], a7 = a[7 * a_step];
  const double *b1 = b + b_step, *b2 = b1 + b_step, *b3 = b2 + b_step, *b4 = b3 + b_step, *b5 = b4 + b_step,
               *b6 = b5 + b_step, *b7 = b6 + b_step;
  for (size_t j = 0; j < n; ++j) {
    const double low = (a0 * b[j] + a1 * b1[j]) + (a2 * b2[j] + a3 * b3[j]);
    const double high = (a4 * b4[j] + a5 * b5[j]) + (a6 * b6[j] + a7 * b7[j]);
    c[j] -= low + high;
  }
}

// One row of c, one tile of b.
LLMC_INLINE void subtract_tile(double* __restrict c, const double* factors, size_t a_step,
                               MatrixView<const double> b) {
  size_t p = 0;
  for (; p + kUnroll <= b.rows; p += kUnroll)
    subtract_eight(c, factors + p * a_step, a_step, &b.at(p, 0), b.stride, b.cols);
  for (; p < b.rows; ++p) {
    const double factor = factors[p * a_step];
    const double* source = &b.at(p, 0);
    for (size_t j = 0; j < b.cols; ++j) c[j] -= factor * source[j];
  }
}

}  // namespace

LLMC_WIDER_VECTORS
void subtract_product(MatrixView<double> c, Coefficients<double> a, MatrixView<const double> b) {
  for (size_t first = 0; first < c.cols; first += kTileCols) {
    for (size_t p = 0; p < b.rows; p += kTileRows) {
      const MatrixView<const double> tile =
          b.block(p, first, std::min(kTileRows, b.rows - p), std::min(kTileCols, c.cols - first));
      for (size_t r = 0; r < c.rows; ++r)
        subtract_tile(&c.at(r, first), a.data + r * a.row_step + p * a.inner_step, a.inner_step, tile);
    }
  }
}

}  // namespace llmcodec
