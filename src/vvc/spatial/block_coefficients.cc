// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spatial/block_coefficients.h"

#include <bit>
#include <cmath>

#include "vvc/picture/rounding.h"
#include "vvc/picture/scaling.h"
#include "vvc/picture/transform.h"
#include "vvc/residual/scan.h"
#include "vvc/trellis/trellis.h"

namespace llmcodec::vvc {
namespace {

// Union step in samples (orthonormal domain), without a power function. It depends on the shape: the
// standard's scale factors make up for an odd power of two in the size to within 0.8 % only.
double union_step(int qp, int bit_depth, int log2_width, int log2_height) {
  const Scaler scaler(qp + 6 * (bit_depth - 8), bit_depth, log2_width, log2_height);
  int32_t probe = 1024;
  while (probe > 1 && scaler(probe) == 32767) probe /= 2;
  // A coefficient is the orthonormal one times 2^(15 - bit_depth - log2_sum / 2).
  const int log2_sum = log2_width + log2_height;
  const double step =
      static_cast<double>(scaler(probe)) / probe * std::ldexp(1.0, log2_sum / 2 + bit_depth - 15);
  return log2_sum % 2 == 0 ? step : step * 1.4142135623730951;
}

}  // namespace

void BlockCoefficients::set_qp(int qp) {
  if (qp == qp_) return;
  qp_ = qp;
  for (int w = 2; w <= 5; ++w)
    for (int h = 2; h <= 5; ++h)
      to_steps_[w - 2][h - 2] =
          static_cast<float>((1 << kCoefficientFraction) / union_step(qp, bit_depth_, w, h));
}

void BlockCoefficients::transform(PlaneView source, PlaneView prediction, int32_t* out) {
  for (size_t y = 0; y < source.rows; ++y) {
    const uint16_t *from = &source.at(y, 0), *predicted = &prediction.at(y, 0);
    int16_t* residual = residual_ + y * source.cols;
    for (size_t x = 0; x < source.cols; ++x) residual[x] = static_cast<int16_t>(from[x] - predicted[x]);
  }
  const int log2_width = std::bit_width(source.cols) - 1, log2_height = std::bit_width(source.rows) - 1;
  forward_dct(residual_, log2_width, log2_height, transformed_);
  const ScanOrder& scan = scan_order(log2_width, log2_height);
  const float to_steps = to_steps_[log2_width - 2][log2_height - 2];
  for (int n = 0; n < scan.count; ++n) out[n] = round_to_even(transformed_[scan[n].raster] * to_steps);
}

int32_t BlockCoefficients::mean_coefficient(int64_t residual_sum, int log2_width, int log2_height) const {
  const float scale = 1.0f / std::sqrt(static_cast<float>(1 << (log2_width + log2_height)));
  return round_to_even(static_cast<float>(residual_sum) * scale * to_steps_[log2_width - 2][log2_height - 2]);
}

}  // namespace llmcodec::vvc
