// SPDX-License-Identifier: BSD-3-Clause
// From a user's spec to one FFmpeg encoder's complete options. Keys of ours in a spec:
//   profile = intra (default) | low_delay | random_access
//   pixel_formats          space-separated; default: those of the encoder's rule
// and, for encoders without a rule in ffmpeg_encoders.h only:
//   quality_option         required; "none" for a lossless encoder
//   quality_min (1), quality_max (31), quality_step (1), quality_per_octave (6)
//   quality_from           N: the encoder's own value is N - quality, since its larger values are the finer ones
//   muxer (nut), demuxer (the muxer)      both: see is_container()
//   pixel_formats          required
// Every other key is FFmpeg's, without the leading dash ("preset", "x265-params", "q:v").
#pragma once

#include "codec/codec_spec.h"
#include "codec/ffmpeg_encoders.h"

namespace llmcodec {

struct EncoderSettings {
  EncoderRule rule;
  CodecSpec full;                    // name, our keys, all options: resolving it again gives the same
  std::vector<CodecOption> options;  // FFmpeg's only, in order
  bool has_user_options = false;
};

// InvalidArgument: an unknown profile or one the encoder does not have, a key that sets the quality (quality
// is given per picture), a missing or malformed key of ours.
Result<EncoderSettings> resolve_encoder(const CodecSpec& spec);

// What decoding needs of the codec that an archive names. Of one in our table nothing but the name is looked
// at; of others the keys of ours that say how frames lie and in which container, which must be one that we
// know. Errors as resolve_encoder().
Result<EncoderRule> decoding_rule(const std::string& spec);

// FFmpeg arguments "-key value ..." with the quality put in its place; frame_depth: of the coded samples.
// InvalidArgument for a quality outside the range or between its steps.
Result<std::vector<std::string>> encoder_arguments(const EncoderSettings& settings, double quality,
                                                   uint32_t frame_depth);

// QualityScale::kRatio.
double ratio_of(double quality, uint32_t frame_depth);

// OpenJPEG through FFmpeg takes whole levels of twice that compression ratio only. A ratio in between comes
// from the next higher level on a picture that is longer by grey rows, which cost nothing:
// compression_level(ratio) * kRatioPerCompressionLevel / ratio times as long.
inline constexpr double kRatioPerCompressionLevel = 2;
uint32_t compression_level(double ratio);

}  // namespace llmcodec
