// SPDX-License-Identifier: BSD-3-Clause
// Affine quantisation: normalised values u <-> integer samples q.
//   q = clip(round(u / step_lsb) + zero_sample, 0, 2^bit_depth - 1)     round half to even
//   u = (q - zero_sample) * step_lsb                                    float32, normative
// Bound: |u - dequantize(quantize(u))| <= step_lsb / 2 (up to float rounding) for every value that is not
// clipped; a clipped value goes to the outlier list with its exact source value.
//
// Example (MatrixView<const float> x, MatrixView<float> u, MutablePlaneView q):
//
//   const AffineParams params{.bit_depth = 10, .step_lsb = 0.02f, .zero_sample = 512};
//   OutlierList outliers;
//   quantize(params, u, {.first_row = 0, .source = x}, q, outliers);
//   dequantize(params, q, u);
#pragma once

#include <cstdint>

#include "llmcodec/matrix_view.h"
#include "llmcodec/plane.h"
#include "llmcodec/status.h"
#include "quant/outliers.h"

namespace llmcodec {

// Of samples that hold weights.
inline constexpr uint32_t kMinSampleBits = 8, kMaxSampleBits = 16;

struct AffineParams {
  uint32_t bit_depth = 8;      // 8..16
  float step_lsb = 1;          // u per sample step, > 0 and finite
  uint32_t zero_sample = 128;  // the sample of u = 0; mid-grey is 2^(bit_depth - 1)

  uint32_t max_sample() const { return (uint32_t{1} << bit_depth) - 1; }
  // Parameters with mid-grey zero.
  static AffineParams centred(uint32_t bit_depth, float step_lsb) {
    return {bit_depth, step_lsb, uint32_t{1} << (bit_depth - 1)};
  }
};

// Corrupt (the values come from an archive) for a depth outside 8..16, a step that is not positive and
// finite, or a zero outside the sample range.
Status validate(const AffineParams& params);

// Where the block stands, for outliers.
struct QuantizeContext {
  uint64_t first_row = 0;          // matrix row of the block's first row
  MatrixView<const float> source;  // exact values of the same rows and columns, before scaling
};

// u, source and q are blocks of whole matrix rows of one shape. Infinite u is clipped; NaN must not occur.
// Outliers are appended in ascending index order.
void quantize(const AffineParams& params, MatrixView<const float> u, const QuantizeContext& context,
              MutablePlaneView q, OutlierList& outliers);
// `q` in any arrangement (a block of rows, a picture); same shape as u.
void dequantize(const AffineParams& params, PlaneView q, MatrixView<float> u);

}  // namespace llmcodec
