// SPDX-License-Identifier: BSD-3-Clause
// Any encoder of the user's FFmpeg as a codec of planes, through one ffmpeg process per call: raw frames in,
// an elementary stream (or the container of its rule) out. FFmpeg's automatic conversion filters are off in
// both directions: a pixel format that does not match is an error, never a silent change of samples.
#pragma once

#include "llmcodec/codec.h"

namespace llmcodec {

// Opening codes one small picture, once per spec and process: that proves encoder, options and device.
// Unsupported: no ffmpeg, no such encoder or decoder in it, or the encoder does not start (FFmpeg's words are
// given); InvalidArgument: see resolve_encoder(), and options that FFmpeg or the encoder refuses.
Result<std::unique_ptr<Codec>> open_ffmpeg_codec(const std::string& spec,
                                                 const CodecEnvironment& environment);

// One row for each encoder that we have a rule for.
std::vector<CodecStatus> list_ffmpeg_codecs(const CodecEnvironment& environment);

}  // namespace llmcodec
