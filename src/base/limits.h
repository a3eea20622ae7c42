// SPDX-License-Identifier: BSD-3-Clause
// Limits on what an input file may ask for, so that hostile sizes fail before memory is taken. Some are absolute;
// where a small file could ask for much, they grow with the file (docs/format.md, section 3, has those that
// writers must know).
#pragma once

#include <algorithm>
#include <cstdint>

namespace llmcodec {

// --- headers

inline constexpr uint64_t kMaxSafetensorsHeaderBytes = 100'000'000;  // as the safetensors reference reader
inline constexpr uint64_t kMaxGgufHeaderBytes = 1ull << 30;          // the largest vocabularies take 20 MB
// Models have some thirty keys and training tools write a few hundred; each costs a hundred bytes of memory and
// may take ten bytes of file.
inline constexpr uint64_t kMaxMetadataKeys = 1 << 16;
inline constexpr uint64_t kMaxTensors = 1'000'000;
inline constexpr uint64_t kMaxDimensions = 8;

// --- pipelines

// Pipelines have fewer than ten parts, in folders at most two deep; each is a folder to be made and files in it.
inline constexpr uint64_t kMaxParts = 1000;
inline constexpr uint64_t kMaxPartLevels = 16;

// --- JSON

inline constexpr uint64_t kMaxJsonBytes = 256ull << 20;  // config, index, plan and description
// Objects and arrays inside each other, of any JSON that is read. What models and this program write has fewer
// than ten levels; code that walks a value may call itself once per level.
inline constexpr uint64_t kMaxJsonDepth = 64;
// Values of a text that becomes a tree, which takes up to a hundred bytes for each: as many as a small text can
// have, and of a large one as many as its length makes likely. The densest text that is written here, scales of
// very many matrices, has six bytes for a value; hostile ones have two.
constexpr uint64_t max_json_values(uint64_t text_bytes) {
  return (1 << 16) + text_bytes / 6;
}

// --- archives

// The description or the GGUF header of an archive, unpacked, against the size of its file. zstd makes 16 KB of
// a gigabyte of zeros, while token lists become a quarter and descriptions are smaller than the file's own
// header with their tensors' names. Writers add padding where the rule would not hold (stored_bytes()).
inline constexpr uint64_t kUnpackedBytesPerFileByte = 4;
inline constexpr uint64_t kUnpackedBytesOfAnyFile = 2 << 20;
constexpr uint64_t max_unpacked_bytes(uint64_t file_bytes) {
  const uint64_t by_size = file_bytes > UINT64_MAX / kUnpackedBytesPerFileByte
                               ? UINT64_MAX
                               : kUnpackedBytesPerFileByte * file_bytes;
  return std::max(kUnpackedBytesOfAnyFile, by_size);
}

inline constexpr uint64_t kMaxWholeFileBytes = 1ull << 32;  // streams and importance files, read as a whole
inline constexpr uint64_t kMaxPictureSamples = 1ull << 27;  // of one picture
// Samples of pictures, padding included, that one byte of a stream may stand for. Pictures of zeros get 10,000 from
// libaom, which codes them best, 3,600 from our own codec.
inline constexpr uint64_t kMaxSamplesPerStreamByte = 1 << 16;
inline constexpr uint64_t kMaxSegmentBytes = 1ull << 31;  // of one coded segment
// Decoded at once: a segment, or a matrix with input cuts.
inline constexpr uint64_t kMaxBlockWeights = 1ull << 31;

}  // namespace llmcodec
