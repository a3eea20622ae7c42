// SPDX-License-Identifier: BSD-3-Clause
// What we know about each FFmpeg encoder: the one table behind the adapter,
// `llmcodec codecs` and docs/codecs.md.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "codec/codec_spec.h"
#include "llmcodec/codec.h"

namespace llmcodec {

// Options are written in the grammar of codec_spec.h and merged in the order defaults, profile, tuned,
// the user's; in `parameter_option` (e.g. "x265-params") key by key. `tuned` is left out when the user
// gives `preset_option`, so that "libx265:preset=slow" is x265's own slow, and plain "libx265" what is
// best for noise-like planes.
enum class QualityScale {
  kOwn,       // the encoder's own value
  kDistance,  // 2^((quality - 22) / 6): JPEG XL's distance, 1 at 22
  kRatio,     // (coded depth) / (8 - quality / 6): JPEG 2000's compression ratio
};

struct EncoderRule {
  std::string name;           // FFmpeg's encoder name
  std::string codec;          // FFmpeg's codec name, for looking up a decoder; empty: not known
  std::string stream_format;  // in CodecInfo
  std::string muxer, demuxer;
  std::string pixel_formats;  // space-separated; preferred first among those of one depth
  uint32_t min_side = 16, max_side = 8192, size_multiple = 1;
  QualityRange quality = {};
  QualityScale quality_scale = QualityScale::kOwn;
  double quality_from = 0;  // not 0: the encoder takes this minus the quality
  // "qp"; several options that take the same value: "crf qmin qmax"; a key inside the parameter
  // option: "kvazaar-params/qp"; empty: lossless.
  std::string quality_option = {};
  std::string parameter_option = {};  // empty: none
  char parameter_separator = ':';
  std::string defaults = {};       // constant quality, no filters, one thread
  std::string preset_option = {};  // "preset", "cpu-used", ...
  std::string tuned = {};
  std::string intra = {}, low_delay = {}, random_access = {};  // "-": the profile is not to be had
  // What a plan file may set besides all that is set above, space-separated; in the parameter option as
  // "x265-params/rd". No option that takes a path.
  std::string in_plans = {};
  bool lossless = false;
  bool exact_decoder = true;
  bool hardware = false;            // listed by every build, works only with the device
  std::string version_marker = {};  // text in FFmpeg's log before the library's version; empty: not printed
};

std::span<const EncoderRule> encoder_rules();

// Whether FFmpeg's muxer or demuxer of this name holds one stream of pictures and opens no further file: not
// "concat", "hls", "segment", "tee" and the like.
bool is_container(std::string_view name);

// nullptr for an encoder without a rule.
const EncoderRule* find_encoder_rule(std::string_view name);

// The pixel format for planes of `bit_depth`: the shallowest that is deep enough; empty when there is none.
std::string_view choose_pixel_format(std::string_view pixel_formats, uint32_t bit_depth);

// Plane depths (8 to 16) that some format of the list can hold, ascending.
std::vector<uint32_t> plane_depths(std::string_view pixel_formats);

}  // namespace llmcodec
