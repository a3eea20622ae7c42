// SPDX-License-Identifier: BSD-3-Clause
// Limits on what an input file may ask for, so that hostile sizes fail before memory is taken.
#pragma once

#include <cstdint>

namespace llmcodec {

inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;  // as the safetensors reference reader
inline constexpr uint64_t kMaxGgufStringBytes = 1ull << 30;
inline constexpr uint64_t kMaxTensors = 1'000'000;
inline constexpr uint64_t kMaxDimensions = 8;
inline constexpr uint64_t kMaxJsonBytes = 256ull << 20;  // config, index and plan files
// Objects and arrays inside each other, of any JSON that is read. What models and this program write has fewer
// than ten levels; code that walks a value may call itself once per level.
inline constexpr uint64_t kMaxJsonDepth = 64;
inline constexpr uint64_t kMaxWholeFileBytes = 1ull << 32;  // streams and importance files, read as a whole
inline constexpr uint64_t kMaxPictureSamples = 1ull << 27;  // of one picture
inline constexpr uint64_t kMaxSegmentBytes = 1ull << 31;    // of one coded segment
// Decoded at once: a segment, or a matrix with input cuts.
inline constexpr uint64_t kMaxBlockWeights = 1ull << 31;

}  // namespace llmcodec
