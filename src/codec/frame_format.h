// SPDX-License-Identifier: BSD-3-Clause
// Frames: planes as FFmpeg reads and writes them. We write an encoder's own pixel format ourselves, so that
// nothing between us and the encoder ever converts a sample:
//   * the luma plane is the picture, top left, its last column and row repeated up to the coded size;
//   * samples are shifted left by (frame depth - plane depth); undone with rounding after decoding;
//   * 8-bit frames have one byte per sample, deeper ones two, least significant first;
//   * 4:2:0 frames end in two chroma planes of half size, all samples mid-grey (2^(depth - 1)).
// Decoded frames come as a YUV4MPEG2 stream, whose header tells the size and format that
// the decoder really gave.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "llmcodec/plane.h"
#include "llmcodec/status.h"

namespace llmcodec {

struct PixelFormat {
  std::string_view name;  // FFmpeg's
  uint32_t depth = 8;
  bool chroma_420 = false;
  uint32_t padding_bits = 0;  // zero bits below each sample in its two bytes (p010le: 6)

  uint32_t sample_bytes() const { return depth > 8 ? 2 : 1; }
};

// nullptr for a format that we cannot write: planar grey and 4:2:0, little-endian, 8 to 16 bits.
const PixelFormat* find_pixel_format(std::string_view name);

struct FrameLayout {
  PixelFormat pixel_format;
  uint32_t width = 0, height = 0;  // coded; both even for 4:2:0
  uint32_t grey_rows = 0;          // of `height`, at the bottom: mid-grey instead of repeated samples
  uint64_t bytes() const;
};

// Appends `picture` as one frame. Preconditions: layout.width >= picture.cols > 0, layout.height >=
// picture.rows > 0, samples < 2^plane_depth, plane_depth <= layout.pixel_format.depth.
void append_frame(PlaneView picture, uint32_t plane_depth, const FrameLayout& layout,
                  std::vector<std::byte>* frames);

// What a YUV4MPEG2 stream holds. `frames` are views into the stream, luma first.
struct DecodedVideo {
  // pixel_format.name is empty; chroma_420 is true for any subsampled or full-range 4:2:0 form.
  FrameLayout layout;
  std::vector<std::span<const std::byte>> frames;
};

// Corrupt when it is not a whole number of complete frames, or in a colour space other than grey and 4:2:0.
Result<DecodedVideo> parse_y4m(std::span<const std::byte> stream);

// Fills `picture` from the top left of a frame. Corrupt when the frame is smaller or
// shallower than the picture.
Status extract_picture(std::span<const std::byte> frame, const FrameLayout& layout, uint32_t plane_depth,
                       MutablePlaneView picture);

}  // namespace llmcodec
