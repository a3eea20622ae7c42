// SPDX-License-Identifier: BSD-3-Clause
#include "quant/affine.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace llmcodec {
namespace {

// Adding and taking away 1.5 * 2^23 rounds to an integer, half to even, for |v| < 2^22; no libm, vectorises.
constexpr float kRoundingBias = 12582912.0f;

}  // namespace

Status validate(const AffineParams& params) {
  if (params.bit_depth < kMinSampleBits || params.bit_depth > kMaxSampleBits) {
    return error(ErrorKind::kCorrupt, "affine bit depth {}: must be {} to {}", params.bit_depth,
                 kMinSampleBits, kMaxSampleBits);
  }
  if (!std::isnormal(params.step_lsb) || params.step_lsb < 0) {
    return error(ErrorKind::kCorrupt, "affine step {}: must be a normal positive number", params.step_lsb);
  }
  if (params.zero_sample > params.max_sample()) {
    return error(ErrorKind::kCorrupt, "affine zero {} beyond the largest sample {}", params.zero_sample,
                 params.max_sample());
  }
  return Status::ok();
}

void quantize(const AffineParams& params, MatrixView<const float> u, const QuantizeContext& context,
              MutablePlaneView q, OutlierList& outliers) {
  const float zero = static_cast<float>(params.zero_sample);
  const float low = -zero, high = static_cast<float>(params.max_sample()) - zero;
  const float inverse = 1 / params.step_lsb;
  for (size_t r = 0; r < u.rows; ++r) {
    const auto values = u.row(r);
    const auto samples = q.row(r);
    uint32_t clipped = 0;
    for (size_t j = 0; j < values.size(); ++j) {
      const float level = values[j] * inverse;
      const float inside = std::min(std::max(level, low), high);
      const float rounded = (inside + kRoundingBias) - kRoundingBias;
      samples[j] = static_cast<uint16_t>(static_cast<int32_t>(rounded + zero));
      clipped |= (level < low - 0.5f) | (level > high + 0.5f);
    }
    if (clipped == 0) continue;
    for (size_t j = 0; j < values.size(); ++j) {
      const float level = values[j] * inverse;
      if (level < low - 0.5f || level > high + 0.5f) {
        outliers.add((context.first_row + r) * u.cols + j, context.source.at(r, j));
      }
    }
  }
}

void dequantize(const AffineParams& params, PlaneView q, MatrixView<float> u) {
  const int32_t zero = static_cast<int32_t>(params.zero_sample);
  for (size_t r = 0; r < q.rows; ++r) {
    const auto samples = q.row(r);
    const auto values = u.row(r);
    for (size_t j = 0; j < samples.size(); ++j) {
      values[j] = static_cast<float>(static_cast<int32_t>(samples[j]) - zero) * params.step_lsb;
    }
  }
}

}  // namespace llmcodec
