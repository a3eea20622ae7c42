// SPDX-License-Identifier: BSD-3-Clause
// Decoder for our subset of H.266: a byte stream in, pictures out.
//
// Example (std::span<const std::byte> stream):
//
//   uint64_t samples = 0;
//   LLMC_RETURN_IF_ERROR(decode_each(stream, {}, [&](const DecodedPicture& picture) {
//     samples += picture.samples.size();
//     return Status::ok();
//   }));
//
// Input: an Annex B byte stream, Main 10 or Main 10 Still Picture, 4:0:0, intra (docs/vvc-profile.md).
// Output: all pictures in coding order, which is output order, cut to the conformance window;
// samples in [0, 2^bit_depth - 1]. One thread; no globals.
// Safe on any bytes: no crash, time and memory bounded by the stream's size and DecodeLimits.
//
// Failures, with the byte offset of the NAL unit: Corrupt (broken syntax, a missing slice, a hash that does
// not match), Unsupported (names the element), Limit (a picture larger than allowed, of which nothing was
// allocated, or too many pictures).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/limits.h"
#include "llmcodec/plane.h"
#include "llmcodec/status.h"
#include "vvc/stream/trace.h"

namespace llmcodec::vvc {

struct DecodeLimits {
  uint64_t max_picture_samples = kMaxPictureSamples;
  uint64_t max_pictures = 1u << 20;
};

struct DecodeOptions {
  DecodeLimits limits = {};
  bool check_hash = true;      // compare each decoded picture hash SEI message that is there
  TraceSink* trace = nullptr;  // every syntax element down to the transform unit, and levels
};

// What decode_each() hands over, once per picture.
struct DecodedPicture {
  PictureFormat format;  // after the conformance window
  PlaneView samples;     // valid only during the call
  bool hash_checked = false;
};
using PictureSink = std::function<Status(const DecodedPicture&)>;

// Hands over all pictures; stops at the first error, also one that the sink returns.
Status decode_each(std::span<const std::byte> stream, const DecodeOptions& options, const PictureSink& sink);

// Several streams, each as by decode_each() alone, but faster together: up to 16 pictures
// or 2^24 samples at a time are decoded side by side (read_any_lanes.h), as they are within one stream.
// A sink gets its stream's pictures in their order; those of other streams may come in between.
struct StreamDecoding {
  std::span<const std::byte> stream;
  DecodeOptions options;
  PictureSink sink;
  Status status = Status::ok();  // result
};
void decode_streams(std::span<StreamDecoding> streams);

}  // namespace llmcodec::vvc
