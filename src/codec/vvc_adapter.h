// SPDX-License-Identifier: BSD-3-Clause
// "vvc": our own spatial VVC encoder and decoder (src/vvc) as a codec of planes. No program needed.
// Options: lambda (0.45; rate against distortion in the trellis), hash (0 or 1: a hash of every picture in
// the stream). Quality is the slice QP: -8 to 63 at 10 bits, 0 to 63 at 8 bits (InvalidArgument below).
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "llmcodec/codec.h"

namespace llmcodec {

// InvalidArgument for an unknown option or value.
Result<std::unique_ptr<Codec>> open_vvc_codec(const std::string& spec);

CodecInfo vvc_codec_info();

// One call of Codec::decode(), to be made together with others.
struct PicturesToDecode {
  const Codec* codec = nullptr;
  std::span<const std::byte> stream;
  PictureFormat format;
  std::vector<MutablePlaneView> pictures;
  Status status = Status::ok();  // result: what Codec::decode() would say
};

// Any codecs. Each as alone, but streams of "vvc" are decoded side by side, up to three times as fast.
void decode_together(std::span<PicturesToDecode> all);

}  // namespace llmcodec
