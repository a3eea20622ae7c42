// SPDX-License-Identifier: BSD-3-Clause
// "raw": the samples themselves, bit_depth bits each, lossless. The simplest codec, and the test
// of all the rest.
//
// Stream: all samples, pictures one after the other, rows top to bottom. Sample i takes bits
// [i * bit_depth, (i + 1) * bit_depth), where bit b is bit b % 8 (0 = least significant) of byte b / 8.
// Unused bits of the last byte are zero (else Corrupt).
#pragma once

#include "llmcodec/codec.h"

namespace llmcodec {

// Takes depths 1 to 16 and no options (InvalidArgument otherwise).
Result<std::unique_ptr<Codec>> open_raw_codec(const std::string& spec);

CodecInfo raw_codec_info();

}  // namespace llmcodec
