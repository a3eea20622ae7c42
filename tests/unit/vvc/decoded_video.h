// SPDX-License-Identifier: BSD-3-Clause
// All pictures of a stream, kept.
//
//   Result<DecodedVideo> video = decode_video(stream);
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "vvc/spatial/stream_decoder.h"

namespace llmcodec::vvc {

struct DecodedVideo {
  PictureFormat format;  // of the last picture
  std::vector<Plane> pictures;
  uint64_t hashes_checked = 0;
};

inline Result<DecodedVideo> decode_video(std::span<const std::byte> stream,
                                         const DecodeOptions& options = {}) {
  DecodedVideo video;
  LLMC_RETURN_IF_ERROR(decode_each(stream, options, [&video](const DecodedPicture& picture) {
    video.format = picture.format;
    Plane plane(picture.format.width, picture.format.height);
    for (size_t y = 0; y < picture.samples.rows; ++y)
      std::copy_n(picture.samples.row(y).begin(), picture.samples.cols, plane.view().row(y).begin());
    video.pictures.push_back(std::move(plane));
    video.hashes_checked += picture.hash_checked ? 1 : 0;
    return Status::ok();
  }));
  return video;
}

}  // namespace llmcodec::vvc
