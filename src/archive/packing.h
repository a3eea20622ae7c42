// SPDX-License-Identifier: BSD-3-Clause
// One zstd frame for what is small and repeats itself: scales, outliers, the description, the header of a
// GGUF file. The frame states its content's size; padding behind it is allowed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "llmcodec/status.h"

namespace llmcodec {

// The smallest frames that zstd makes in reasonable time, which beyond a megabyte grows faster than the content;
// and a level whose time does not.
inline constexpr int kPackSmallest = 19, kPackQuickly = 6;

// Deterministic for one version of libzstd. Never fails: memory aside, zstd takes any bytes.
std::vector<std::byte> pack(std::span<const std::byte> content, int level = kPackSmallest);

// Bytes that the frame must have in the archive, padding included, when its content has `content_bytes` and the
// file already has `file_bytes` without it: a multiple of 8, and so many that the whole file may unpack to the
// content (base/limits.h, max_unpacked_bytes()).
uint64_t stored_bytes(uint64_t packed_bytes, uint64_t content_bytes, uint64_t file_bytes);

// Corrupt when `packed` does not begin with a whole frame that states its size; Limit when that is over
// `max_bytes`, before any memory is taken.
Result<std::vector<std::byte>> unpack(std::span<const std::byte> packed, uint64_t max_bytes);

}  // namespace llmcodec
