// SPDX-License-Identifier: BSD-3-Clause
#include "pipeline/stored_weights.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace llmcodec {
namespace {

float largest_finite(Dtype dtype) {
  if (dtype == Dtype::kF16) return 65504.0f;
  if (dtype == Dtype::kF8E5M2) return 57344.0f;
  if (dtype == Dtype::kF8E4M3) return 448.0f;
  if (dtype == Dtype::kBF16) return 3.3895314e38f;
  return std::numeric_limits<float>::max();
}

}  // namespace

Dtype restored_dtype(Dtype own) {
  return dtype_info(own).block_elements > 1 ? Dtype::kF16 : own;
}

Status store_weights(Dtype dtype, std::span<const float> weights, std::vector<std::byte>* bytes) {
  const auto size = dtype_bytes(dtype, weights.size());
  if (!size) return error(ErrorKind::kInternal, "rows do not fill whole blocks");
  const float largest = largest_finite(dtype);
  std::vector<float> clipped(weights.begin(), weights.end());
  for (float& weight : clipped) {
    if (std::isfinite(weight)) weight = std::clamp(weight, -largest, largest);
  }
  bytes->resize(*size);
  return from_f32(dtype, clipped, *bytes);
}

}  // namespace llmcodec
