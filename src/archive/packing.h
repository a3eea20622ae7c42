// SPDX-License-Identifier: BSD-3-Clause
// One zstd frame for what is small and repeats itself: scales, outliers, the description, the header of a
// GGUF file. The frame states its content's size; padding behind it is allowed.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "llmcodec/status.h"

namespace llmcodec {

// Deterministic for one version of libzstd. Never fails: memory aside, zstd takes any bytes.
std::vector<std::byte> pack(std::span<const std::byte> content);

// Corrupt when `packed` does not begin with a whole frame that states its size; Limit when that is over
// `max_bytes`, before any memory is taken.
Result<std::vector<std::byte>> unpack(std::span<const std::byte> packed, uint64_t max_bytes);

}  // namespace llmcodec
