// SPDX-License-Identifier: BSD-3-Clause
// Element types: every dtype of safetensors 0.8 and every block type that GGUF files hold, their sizes,
// names, and exact conversion to and from float. Bytes are little-endian and need no alignment.
//
// Example (std::span<const std::byte> bytes):
//
//   std::vector<float> values(bytes.size() / 2);
//   LLMC_RETURN_IF_ERROR(to_f32(Dtype::kBF16, bytes, values));
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "llmcodec/status.h"

namespace llmcodec {

enum class Dtype {
  kBool,
  kU8,
  kI8,
  kU16,
  kI16,
  kU32,
  kI32,
  kU64,
  kI64,
  kF4,      // packed, two to a byte; carried, never read as float (the order in the byte is not specified)
  kF6E2M3,  // packed, four to three bytes; carried
  kF6E3M2,  // likewise
  kF8E8M0,  // exponents of block scales, not weights; carried
  kF8E4M3,  // "fn": no infinity, NaN = 0x7f and 0xff
  kF8E5M2,  // as IEEE 754
  kF8E4M3Fnuz,  // bias 8, no infinity, no -0; NaN = 0x80
  kF8E5M2Fnuz,  // bias 16, likewise
  kF16,
  kBF16,
  kF32,
  kF64,
  kC64,   // pair of F32; carried
  kQ4_0,  // from here on GGUF blocks, as in ggml
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ8_0,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ1_S,
  kIQ1_M,
  kIQ2_XXS,
  kIQ2_XS,
  kIQ2_S,
  kIQ3_XXS,
  kIQ3_S,
  kIQ4_NL,
  kIQ4_XS,
  kTQ1_0,
  kTQ2_0,
  kMXFP4,
  kNVFP4,
  kQ1_0,
  kQ2_0,
};
inline constexpr int kDtypeCount = static_cast<int>(Dtype::kQ2_0) + 1;

struct DtypeInfo {
  const char* name;         // safetensors spelling ("F16", "BF16", "F8_E4M3"), ggml's for blocks ("Q4_K")
  uint32_t block_elements;  // 1 for whole-byte types
  uint32_t block_bytes;
  bool floating;    // to_f32() takes it: its tensors can be treated as weights
  bool gguf_block;  // not a dtype of safetensors
};

const DtypeInfo& dtype_info(Dtype dtype);
std::optional<Dtype> dtype_from_name(std::string_view name);
// Bytes of `elements` values; nullopt on overflow or when the block does not divide `elements`.
std::optional<uint64_t> dtype_bytes(Dtype dtype, uint64_t elements);

// Decodes `out.size()` values from `bytes` (exactly their size; whole blocks). Exact, except that F64
// is rounded to nearest even; NaN stays NaN. Unsupported for types that are not floating,
// InvalidArgument for wrong sizes.
Status to_f32(Dtype dtype, std::span<const std::byte> bytes, std::span<float> out);

// Encodes with round-to-nearest-even: F64, F32, F16, BF16, the four F8 floats and Q8_0 (as ggml's reference
// quantiser); the rest is Unsupported. NaN stays NaN. A value beyond the range of the type, infinity
// included, becomes the type's infinity; in types without one (F8_E4M3, FNUZ) a finite value becomes their
// largest of that sign and infinity NaN.
Status from_f32(Dtype dtype, std::span<const float> values, std::span<std::byte> out);

}  // namespace llmcodec
