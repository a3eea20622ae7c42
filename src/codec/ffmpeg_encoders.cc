// SPDX-License-Identifier: BSD-3-Clause
#include "codec/ffmpeg_encoders.h"

#include <algorithm>

#include "codec/frame_format.h"

namespace llmcodec {
namespace {

constexpr QualityRange qp(double min, double max, double per_octave) {
  return {.min = min, .max = max, .per_octave = per_octave};
}

// Every rule: a true constant quantiser (no rate control, no adaptive or psychovisual quantisation, no
// temporal filtering of the source), one thread, in-loop filters off where they cost time or quality on
// noise-like planes. Figures of docs/codecs.md (iid Gaussian) stand behind each choice.
const EncoderRule kRules[] = {
    {
        .name = "libvvenc",
        .codec = "vvc",
        .stream_format = "h266",
        .muxer = "vvc",
        .demuxer = "vvc",
        .pixel_formats = "yuv420p10le",
        .min_side = 32,
        .max_side = 16384,
        .size_multiple = 8,
        .quality = qp(0, 63, 6),
        .quality_option = "qp",
        .parameter_option = "vvenc-params",
        // MCTF would smooth pictures along time before coding them: 0.65 dB.
        .defaults = "preset=faster,qpa=0,threads=1,"
                    "vvenc-params=MCTF=0:BIM=0:SAO=0:ALF=0:CCALF=0:LoopFilterDisable=1:LMCSEnable=0",
        .intra = "g=1",
        .low_delay = "-",
        .random_access = "g=32",
        .version_marker = "libvvenc version: ",
    },
    {
        .name = "libx265",
        .codec = "hevc",
        .stream_format = "hevc",
        .muxer = "hevc",
        .demuxer = "hevc",
        .pixel_formats = "gray gray10le gray12le",
        .min_side = 64,
        .max_side = 16384,
        .size_multiple = 8,
        .quality = qp(0, 51, 6),
        .quality_option = "qp",
        .parameter_option = "x265-params",
        .defaults = "preset=medium,threads=1,"
                    "x265-params=aq-mode=0:psy-rd=0:psy-rdoq=0:cutree=0:ipratio=1:pbratio=1:sao=0:deblock=0:"
                    "rdoq-level=2:ctu=32:min-cu-size=32:max-tu-size=32:"
                    "pools=none:frame-threads=1:wpp=0:info=0:log-level=warning",
        .intra = "g=1,x265-params=keyint=1:bframes=0",
        .low_delay = "x265-params=bframes=0:keyint=250:scenecut=0",
        .random_access = "x265-params=bframes=4:keyint=250:scenecut=0",
        .version_marker = "HEVC encoder version ",
    },
};

std::vector<const PixelFormat*> parse_formats(std::string_view list) {
  std::vector<const PixelFormat*> formats;
  while (!list.empty()) {
    const size_t end = std::min(list.find(' '), list.size());
    if (const PixelFormat* format = find_pixel_format(list.substr(0, end))) formats.push_back(format);
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return formats;
}

}  // namespace

std::span<const EncoderRule> encoder_rules() {
  return kRules;
}

const EncoderRule* find_encoder_rule(std::string_view name) {
  const auto* found =
      std::find_if(std::begin(kRules), std::end(kRules), [&](const auto& r) { return r.name == name; });
  return found == std::end(kRules) ? nullptr : found;
}

std::string_view choose_pixel_format(std::string_view pixel_formats, uint32_t bit_depth) {
  const PixelFormat* best = nullptr;
  for (const PixelFormat* format : parse_formats(pixel_formats)) {
    if (format->depth >= bit_depth && (best == nullptr || format->depth < best->depth)) best = format;
  }
  return best == nullptr ? std::string_view() : best->name;
}

std::vector<uint32_t> plane_depths(std::string_view pixel_formats) {
  std::vector<uint32_t> depths;
  for (uint32_t depth = 8; depth <= 16; ++depth) {
    if (!choose_pixel_format(pixel_formats, depth).empty()) depths.push_back(depth);
  }
  return depths;
}

}  // namespace llmcodec
