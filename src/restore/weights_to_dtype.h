// SPDX-License-Identifier: BSD-3-Clause
// Weights on their way from floats to the bytes of a restored tensor.
#pragma once

#include <span>

#include "llmcodec/status.h"
#include "tensor/dtype.h"

namespace llmcodec {

// The dtype in which a coded tensor comes back if none is asked for: its own, F16 for GGUF's blocks.
Dtype restored_dtype(Dtype own);
// That of a tensor stored exactly, in a safetensors file: its own, and for GGUF's blocks F32, which holds their values.
Dtype restored_exact_dtype(Dtype own);

// What becomes of a weight past the range of its dtype.
enum class PastRange {
  kClip,    // the dtype's largest: for decoded weights, which only coding noise can have pushed there
  kRefuse,  // InvalidArgument: the weight was that large, and the dtype asked for cannot hold it
};

// Decoded weights, which were finite before they were coded: those that are infinite are clipped as well. Internal when
// the weights do not fill whole blocks of `dtype`, or `out` has another size than they take.
Status store_weights(Dtype dtype, std::span<const float> weights, PastRange past, std::span<std::byte> out);

// A tensor stored exactly, or a piece of it in whole blocks, from its own dtype into another. What is infinite or NaN
// stays so.
Status convert_exact(Dtype own, std::span<const std::byte> bytes, Dtype dtype, PastRange past,
                     std::span<std::byte> out);

}  // namespace llmcodec
