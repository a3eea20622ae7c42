// SPDX-License-Identifier: BSD-3-Clause
// Weights on their way from floats to the bytes of a restored tensor.
#pragma once

#include <span>

#include "llmcodec/status.h"
#include "tensor/dtype.h"

namespace llmcodec {

// The dtype in which a tensor comes back if none is asked for: its own, F16 for GGUF's blocks.
Dtype restored_dtype(Dtype own);

// Coding noise can push a weight past the range of a narrow type; finite weights stay finite. Internal when
// the weights do not fill whole blocks of `dtype`, or `out` has another size than they take.
Status store_weights(Dtype dtype, std::span<const float> weights, std::span<std::byte> out);

}  // namespace llmcodec
