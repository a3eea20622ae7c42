// SPDX-License-Identifier: BSD-3-Clause
// Element types: every dtype of safetensors and the block types of GGUF that can be read, their sizes, names, and
// exact conversion to and from float.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "llmcodec/status.h"

namespace llmcodec {

enum class Dtype {
  kBool, kU8, kI8, kU16, kI16, kU32, kI32, kU64, kI64,
  kF8E4M3, kF8E5M2, kF16, kBF16, kF32, kF64,
  kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0, kQ4_K, kQ5_K, kQ6_K,  // GGUF blocks, as in ggml
};

struct DtypeInfo {
  const char* name;        // safetensors spelling ("F16", "BF16", "F8_E4M3"), ggml's for blocks ("Q4_K")
  uint32_t block_elements; // 1 for plain types
  uint32_t block_bytes;
  bool floating;           // blocks count as floating: they can be read as float
};

const DtypeInfo& dtype_info(Dtype dtype);
std::optional<Dtype> dtype_from_name(std::string_view name);
// Bytes of `elements` values; nullopt on overflow or when a block type does not divide `elements`.
std::optional<uint64_t> dtype_bytes(Dtype dtype, uint64_t elements);

// Decodes `out.size()` values from `bytes` (exactly their size; whole blocks). Integers are not floating: Unsupported.
Status to_f32(Dtype dtype, std::span<const std::byte> bytes, std::span<float> out);
// Encodes with round-to-nearest-even; F64, F32, F16, BF16, F8 and Q8_0 (as ggml's reference quantiser) only. A finite
// value beyond the range of the type becomes the type's infinity, or its largest value where it has none (F8_E4M3).
Status from_f32(Dtype dtype, std::span<const float> values, std::span<std::byte> out);

}  // namespace llmcodec
