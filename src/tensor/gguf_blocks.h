// SPDX-License-Identifier: BSD-3-Clause
// GGUF block types: small groups of quantised weights with their scale(s), as ggml stores them. Dequantised
// with ggml's own order of float operations (no fused multiply-add), so values are equal bit for bit.
//   Q4_0, Q5_0, Q8_0   32 weights:  x = d * q                  q signed, d in F16
//   Q4_1, Q5_1         32 weights:  x = d * q + m
//   Q4_K, Q5_K        256 weights:  x = (d * scale_s) * q - (dmin * min_s)
//                                   8 sub-blocks s of 32 weights, 6-bit scales
//   Q6_K              256 weights:  x = (d * scale_s) * q
//                                   16 sub-blocks s of 16 weights, 8-bit scales
#pragma once

#include <cstddef>
#include <span>

#include "llmcodec/status.h"
#include "tensor/dtype.h"

namespace llmcodec {

// Preconditions (checked by to_f32): `dtype` is a block type, `bytes` whole blocks, `out` their weights.
void dequantize_blocks(Dtype dtype, std::span<const std::byte> bytes, std::span<float> out);

// Q8_0 as ggml's reference: d = max|x| / 127 in F16, q = x / (unrounded d) rounded half away from zero.
// `values` are whole blocks of 32, `out` 34 bytes for each. InvalidArgument, with the index, for a value that
// is not finite or whose block's scale is beyond F16 (|x| > 127 * 65519).
Status quantize_q8_0(std::span<const float> values, std::span<std::byte> out);

}  // namespace llmcodec
