// SPDX-License-Identifier: BSD-3-Clause
#include "restore/weights_to_dtype.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/error.h"
#include "base/finite.h"
#include "base/wider_vectors.h"
#include "tensor/dtype_range.h"

namespace llmcodec {
namespace {

// The largest float that `dtype` holds.
float largest_float(Dtype dtype) {
  return static_cast<float>(std::min<double>(largest_finite(dtype), std::numeric_limits<float>::max()));
}

Error too_large(double weight, Dtype dtype) {
  return error(ErrorKind::kInvalidArgument,
               "weights reach {:.7g}, past the {:.7g} at which {} ends (decompress has --dtype for a wider "
               "one, and --saturate to clip them)",
               weight, largest_finite(dtype), dtype_info(dtype).name);
}

LLMC_WIDER_VECTORS
void clip(std::span<const float> weights, float largest, std::span<float> clipped) {
  for (size_t i = 0; i < weights.size(); ++i)
    clipped[i] = std::fabs(weights[i]) > largest ? std::copysign(largest, weights[i]) : weights[i];
}

// Finite values past the range clipped. F64 is looked at before it is rounded to float, where it may become
// infinite. Returns the largest of the values clipped, 0 for none.
double clip_exact(Dtype own, std::span<const std::byte> bytes, Dtype dtype, std::span<float> weights) {
  const double end = largest_finite(dtype);
  double largest = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    double value = weights[i];
    if (own == Dtype::kF64) std::memcpy(&value, bytes.data() + i * sizeof(value), sizeof(value));
    const double magnitude = std::fabs(value);
    if (!(magnitude > end) || std::isinf(magnitude)) continue;
    largest = std::max(largest, magnitude);
    weights[i] = std::copysign(largest_float(dtype), weights[i]);
  }
  return largest;
}

}  // namespace

Dtype restored_dtype(Dtype own) {
  return dtype_info(own).block_elements > 1 ? Dtype::kF16 : own;
}

Dtype restored_exact_dtype(Dtype own) {
  return dtype_info(own).gguf_block ? Dtype::kF32 : own;
}

Status store_weights(Dtype dtype, std::span<const float> weights, PastRange past, std::span<std::byte> out) {
  if (dtype_bytes(dtype, weights.size()) != out.size())
    return error(ErrorKind::kInternal, "{} weights in {} do not fill {} bytes", weights.size(),
                 dtype_info(dtype).name, out.size());
  const float largest = largest_float(dtype);
  if (past == PastRange::kRefuse) {
    if (const float found = largest_magnitude(weights); found > largest) return too_large(found, dtype);
  }
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

Status convert_exact(Dtype own, std::span<const std::byte> bytes, Dtype dtype, PastRange past,
                     std::span<std::byte> out) {
  const DtypeInfo& info = dtype_info(own);
  std::vector<float> weights(bytes.size() / info.block_bytes * info.block_elements);
  LLMC_RETURN_IF_ERROR(to_f32(own, bytes, weights));
  const double largest = clip_exact(own, bytes, dtype, weights);
  if (largest > 0 && past == PastRange::kRefuse) return too_large(largest, dtype);
  return from_f32(dtype, weights, out);
}

}  // namespace llmcodec
