// SPDX-License-Identifier: BSD-3-Clause
// GGUF block types: small groups of quantised weights with their scale(s), as ggml stores them. Dequantised
// with ggml's own order of float operations (no fused multiply-add), so values are equal bit for bit.
//   Q4_0, Q5_0, Q8_0     32 weights:  x = d * q                  q signed, d in F16
//   Q1_0                128 weights, Q2_0 64, TQ1_0 and TQ2_0 256: the same with two, four and three levels
//   Q4_1, Q5_1           32 weights:  x = d * q + m
//   IQ4_NL               32 weights:  x = d * level[q]
//   MXFP4                32 weights:  x = d * q                  q a 4-bit float, d a power of two
//   Q2_K, Q4_K, Q5_K    256 weights:  x = (d * scale_s) * q - (dmin * min_s)
//                                     sub-blocks s of 16 or 32 weights, 4- or 6-bit scales
//   Q3_K, Q6_K          256 weights:  x = (d * scale_s) * q      sub-blocks of 16, 6- or 8-bit scales
//   IQ4_XS              256 weights:  x = (d * scale_s) * level[q]
//   NVFP4                64 weights:  x = scale_s * q            q a 4-bit float, 4 sub-blocks, 8-bit floats as scales
//   IQ2_*, IQ3_*        256 weights:  x = (d * scale_s) * level * sign    levels of 8 or 4 weights from a codebook
//   IQ1_S, IQ1_M        256 weights:  x = (d * scale_s) * (level + delta)
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
