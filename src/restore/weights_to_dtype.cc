// SPDX-License-Identifier: BSD-3-Clause
#include "restore/weights_to_dtype.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/wider_vectors.h"

namespace llmcodec {
namespace {

float largest_finite(Dtype dtype) {
  if (dtype == Dtype::kF16) return 65504.0f;
  if (dtype == Dtype::kF8E5M2) return 57344.0f;
  if (dtype == Dtype::kF8E4M3) return 448.0f;
  if (dtype == Dtype::kBF16) return 3.3895314e38f;
  return std::numeric_limits<float>::max();
}

// Finite weights into [-largest, largest].
LLMC_WIDER_VECTORS
void clip(std::span<const float> weights, float largest, std::span<float> clipped) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (size_t i = 0; i < weights.size(); ++i) {
    const float magnitude = std::fabs(weights[i]);
    const bool beyond = magnitude > largest && magnitude < kInfinity;
    clipped[i] = beyond ? std::copysign(largest, weights[i]) : weights[i];
  }
}

}  // namespace

Dtype restored_dtype(Dtype own) {
  return dtype_info(own).block_elements > 1 ? Dtype::kF16 : own;
}

Status store_weights(Dtype dtype, std::span<const float> weights, std::span<std::byte> out) {
  if (dtype_bytes(dtype, weights.size()) != out.size())
    return error(ErrorKind::kInternal, "{} weights in {} do not fill {} bytes", weights.size(),
                 dtype_info(dtype).name, out.size());
  const float largest = largest_finite(dtype);
  std::array<float, 1024> clipped;  // whole blocks of every dtype; stays in the cache
  for (size_t first = 0; first < weights.size(); first += clipped.size()) {
    const auto piece = weights.subspan(first, std::min(clipped.size(), weights.size() - first));
    clip(piece, largest, clipped);
    const size_t begin = *dtype_bytes(dtype, first), end = *dtype_bytes(dtype, first + piece.size());
    LLMC_RETURN_IF_ERROR(
        from_f32(dtype, std::span(clipped).first(piece.size()), out.subspan(begin, end - begin)));
  }
  return Status::ok();
}

}  // namespace llmcodec
