// SPDX-License-Identifier: BSD-3-Clause
// The DCT-II of H.266: the exact integer inverse that every decoder computes, and a forward one for encoders.
//
// Example (const int32_t* coefficients):
//
//   int16_t residual[32 * 32];
//   inverse_dct(coefficients, {.log2_width = 5, .log2_height = 5, .columns = 8, .rows = 4}, 10, residual);
//
// Blocks are row-major with stride = width; row 0, column 0 is the lowest frequency.
#pragma once

#include <cstdint>

namespace llmcodec::vvc {

// Row k, column n of the standard's N-point transform matrix is dct_coefficient(k * 64 / N, n) for n < N:
// a cosine of amplitude 64 * sqrt(2) (64 for k = 0), rounded by hand to keep rows nearly orthogonal.
// k and n are in 0..63.
int dct_coefficient(int k, int n);

struct TransformSize {
  int log2_width = 5;   // 2..6
  int log2_height = 5;  // 2..6
  // Coefficients are zero from this column and row on (at most 32 each); smaller is faster.
  int columns = 32;
  int rows = 32;
};

// H.266 8.7.4: columns, rounding to 16 bits, rows, rounding to samples. Coefficients in [-32768, 32767].
// The residual is in sample units, before the prediction is added, and clipped to 16 bits,
// which the final clip to samples hides.
void inverse_dct(const int32_t* coefficients, const TransformSize& size, int bit_depth, int16_t* residual);

// Orthonormal coefficients of a residual, in sample units: energy is preserved to about 0.3 % (the integer
// matrix is not exactly orthogonal). Deterministic: no operation order depends on the machine. All rows and
// columns are computed.
void forward_dct(const int16_t* residual, int log2_width, int log2_height, float* coefficients);

}  // namespace llmcodec::vvc
