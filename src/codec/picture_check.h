// SPDX-License-Identifier: BSD-3-Clause
// What every codec checks before it touches a sample. InvalidArgument for sizes or depths
// outside `info`, pictures that do not have the format's size, no picture at all, and samples
// above the depth's largest value.
#pragma once

#include "llmcodec/codec.h"

namespace llmcodec {

Status check_encode_request(std::span<const PlaneView> pictures, const PictureFormat& format,
                            const CodecInfo& info);
Status check_decode_request(std::span<const MutablePlaneView> pictures, const PictureFormat& format,
                            const CodecInfo& info);

}  // namespace llmcodec
