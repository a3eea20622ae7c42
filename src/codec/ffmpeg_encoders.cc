// SPDX-License-Identifier: BSD-3-Clause
#include "codec/ffmpeg_encoders.h"

#include <algorithm>

#include "codec/frame_format.h"

namespace llmcodec {
namespace {

constexpr QualityRange qp(double min, double max, double per_octave) {
  return {.min = min, .max = max, .per_octave = per_octave};
}

constexpr QualityRange kLossless = {.lossless_only = true};
constexpr const char* kUnavailable = "-";  // a profile that the encoder does not have

// Every rule: a true constant quantiser (no rate control, no adaptive or psychovisual quantisation, no
// temporal filtering of the source), one thread, in-loop filters off where they cost time or quality on
// noise-like planes. Remarks "x dB" are gaps on iid Gaussian noise, 512x512, about 2 bpw; docs/codecs.md has
// the table and its command.
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
        // Temporal filtering smooths noise before it is coded: 2.47 dB with it, 1.83 without; a
        // third of the speed.
        .defaults = "qpa=0,threads=1,vvenc-params=MCTF=0:BIM=0:SAO=0:ALF=0:CCALF=0:LoopFilterDisable=1:"
                    "LMCSEnable=0:EncDbOpt=0",
        .preset_option = "preset",
        // Dependent quantisation and 32x32 blocks only: 1.43 dB at 2.9 M samples/s; medium 1.23 at 0.07.
        .tuned =
            "preset=faster,vvenc-params=DepQuant=1:SignHideFlag=0:CTUSize=32:MaxMTTDepthI=0:MinQTISlice=32",
        .intra = "g=1",
        .low_delay = kUnavailable,
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
        .defaults = "threads=1,x265-params=aq-mode=0:psy-rd=0:psy-rdoq=0:cutree=0:ipratio=1:pbratio=1:sao=0:"
                    "deblock=0:pools=none:frame-threads=1:wpp=0:info=0:log-level=info",
        .preset_option = "preset",
        // 32x32 blocks only: 2.06 dB at 4.4 M samples/s, against 2.01 dB at 0.83 with the preset's
        // own 8 to 64.
        .tuned = "preset=medium,x265-params=rdoq-level=2:ctu=32:min-cu-size=32:max-tu-size=32",
        .intra = "g=1,x265-params=keyint=1:bframes=0",
        .low_delay = "x265-params=bframes=0:keyint=250:scenecut=0",
        .random_access = "x265-params=bframes=4:keyint=250:scenecut=0",
        .in_plans = "tune x265-params/rd x265-params/rskip x265-params/signhide x265-params/tu-intra-depth",
        .version_marker = "HEVC encoder version ",
    },
    {
        .name = "libx264",
        .codec = "h264",
        .stream_format = "h264",
        .muxer = "h264",
        .demuxer = "h264",
        .pixel_formats = "gray gray10le",
        .min_side = 16,
        .max_side = 16384,
        .size_multiple = 2,
        .quality = qp(1, 51, 6),  // 0 is another, lossless mode
        .quality_option = "qp",
        .parameter_option = "x264-params",
        .defaults =
            "threads=1,x264-params=aq-mode=0:psy=0:mbtree=0:ipratio=1:pbratio=1:scenecut=0:no-deblock=1",
        .preset_option = "preset",
        // Trellis 2.90 dB, without 3.04; 4x4 transforms as good as both sizes, and faster.
        .tuned = "preset=medium,x264-params=trellis=2:8x8dct=0",
        .intra = "g=1,x264-params=keyint=1:bframes=0",
        .low_delay = "x264-params=bframes=0:keyint=250",
        .random_access = "x264-params=bframes=3:keyint=250",
        .in_plans = "tune x264-params/cabac x264-params/partitions x264-params/subme",
    },
    {
        .name = "libsvtav1",
        .codec = "av1",
        .stream_format = "obu",
        .muxer = "obu",
        .demuxer = "obu",
        .pixel_formats = "yuv420p yuv420p10le",
        .min_side = 64,
        .max_side = 8704,
        .size_multiple = 8,
        .quality = qp(1, 63, 8),
        .quality_option = "qp",
        .parameter_option = "svtav1-params",
        // Temporal filtering off: 1.68 dB, with it 2.15.
        .defaults = "threads=1,err_detect=explode,svtav1-params=tune=1:aq-mode=0:enable-cdef=0:"
                    "enable-restoration=0:enable-dlf=0:enable-tf=0:enable-qm=0:scm=0:lp=1",
        .preset_option = "preset",
        .tuned = "preset=8",  // 1.68 dB; 6 no better at a third of the speed
        .intra = "g=1",
        .low_delay = "svtav1-params=pred-struct=1",
        .random_access = "svtav1-params=pred-struct=2",
        .version_marker = "SVT-AV1 Encoder Lib ",
    },
    {
        .name = "libaom-av1",
        .codec = "av1",
        .stream_format = "obu",
        .muxer = "obu",
        .demuxer = "obu",
        .pixel_formats = "gray gray10le gray12le",
        .min_side = 16,
        .max_side = 16384,
        .size_multiple = 8,
        .quality = qp(1, 63, 8),
        .quality_option = "crf",
        .parameter_option = "aom-params",
        .defaults = "b:v=0,threads=1,row-mt=0,aq-mode=0,enable-cdef=0,enable-restoration=0,tune=psnr,"
                    "aom-params=loopfilter-control=0:deltaq-mode=0",
        .preset_option = "cpu-used",
        .tuned = "cpu-used=6",  // 1.57 dB at 1.9 M samples/s; 8: 1.63 at 3.5, 4: 1.56 at 0.5
        .intra = "usage=allintra",
        .low_delay = "usage=good,lag-in-frames=0",
        .random_access = "usage=good,lag-in-frames=25",
    },
    {
        .name = "librav1e",
        .codec = "av1",
        .stream_format = "obu",
        .muxer = "obu",
        .demuxer = "obu",
        .pixel_formats = "yuv420p yuv420p10le yuv420p12le",
        .min_side = 16,
        .max_side = 16384,
        .size_multiple = 8,
        .quality = qp(1, 255, 32),
        .quality_option = "qp",
        .parameter_option = "rav1e-params",
        .defaults = "threads=1,rav1e-params=tune=psnr:threads=1",
        .preset_option = "speed",
        .tuned = "speed=10",  // 1.88 dB at every speed from 4 to 10
        .intra = "g=1",
        .low_delay = "rav1e-params=low_latency=true",
        .random_access = "rav1e-params=low_latency=false",
    },
    {
        .name = "libvpx-vp9",
        .codec = "vp9",
        .stream_format = "ivf",
        .muxer = "ivf",
        .demuxer = "ivf",
        .pixel_formats = "yuv420p yuv420p10le yuv420p12le",
        .min_side = 16,
        .max_side = 16384,
        .size_multiple = 8,
        .quality = qp(1, 63, 8),
        .quality_option = "crf qmin qmax",
        // The loop filter cannot be switched off; sharpness 7 weakens it: 2.25 dB, 2.51 without.
        .defaults = "deadline=good,b:v=0,threads=1,row-mt=0,aq-mode=0,tune=psnr,sharpness=7",
        .preset_option = "cpu-used",
        .tuned = "cpu-used=2",  // 4 is 0.7 dB worse, 0 and 1 no better
        .intra = "g=0,lag-in-frames=0,auto-alt-ref=0",
        .low_delay = "lag-in-frames=0,auto-alt-ref=0",
        .random_access = "lag-in-frames=25,auto-alt-ref=1",
    },
    {
        .name = "libkvazaar",
        .codec = "hevc",
        .stream_format = "hevc",
        .muxer = "hevc",
        .demuxer = "hevc",
        .pixel_formats = "yuv420p",
        .min_side = 16,
        .max_side = 16384,
        .size_multiple = 8,
        .quality = qp(0, 51, 6),
        .quality_option = "kvazaar-params/qp",
        .parameter_option = "kvazaar-params",
        .parameter_separator = ',',
        // The preset stands first: it would undo what is before it.
        .defaults = R"(threads=1,kvazaar-params=preset=fast\,deblock=0\,sao=off\,rdoq=1\,signhide=1\,)"
                    R"(threads=0\,owf=0\,wpp=0\,info=0)",
        .intra = "kvazaar-params=period=1",
        .low_delay = R"(kvazaar-params=period=0\,gop=lp-g4d3t1)",
        .random_access = R"(kvazaar-params=period=64\,gop=8)",
    },
    {
        .name = "libjxl",
        .codec = "jpegxl",
        .stream_format = "jxl",
        .muxer = "image2pipe",
        .demuxer = "jpegxl_pipe",
        .pixel_formats = "gray gray16le",
        .min_side = 8,
        .max_side = 65536,
        .quality = {.min = 0, .max = 45, .step = 0.5},  // distance 0.08 to 14
        .quality_scale = QualityScale::kDistance,
        .quality_option = "distance",
        .defaults = "xyb=1,modular=0,threads=1",
        .preset_option = "effort",
        // From effort 5 on it adapts the quantiser to what eyes see: 3.1 to 4 dB; effort 4: 2.83,
        // ten times as fast.
        .tuned = "effort=4",
        .low_delay = kUnavailable,
        .random_access = kUnavailable,
        .exact_decoder = false,
    },
    {
        .name = "libopenjpeg",
        .codec = "jpeg2000",
        .stream_format = "j2k",
        .muxer = "image2pipe",
        .demuxer = "j2k_pipe",
        .pixel_formats = "gray gray10le gray12le gray16le",
        .min_side = 32,
        .max_side = 16384,
        .quality = {.min = 0, .max = 44, .step = 0.01, .fixed_rate = true},  // 8 to 0.67 bits a sample
        .quality_scale = QualityScale::kRatio,
        .quality_option = "compression_level",
        // One resolution: bit planes of the samples themselves. A wavelet only mixes noise: 2.9
        // dB with, 2.6 without.
        .defaults = "format=j2k,irreversible=0,numresolution=1,threads=1",
        .low_delay = kUnavailable,
        .random_access = kUnavailable,
    },
    {
        .name = "ffv1",
        .codec = "ffv1",
        .stream_format = "nut",
        .muxer = "nut",
        .demuxer = "nut",
        .pixel_formats = "gray gray10le gray12le gray16le",
        .min_side = 16,
        .max_side = 16384,
        .quality = kLossless,
        .defaults = "level=3,coder=1,context=0,slices=4,slicecrc=1,threads=1",
        .intra = "g=1",
        .low_delay = kUnavailable,
        .random_access = kUnavailable,
        .lossless = true,
    },
    // The hardware encoders: written from FFmpeg's option lists; no device has been at hand to run them.
    {
        .name = "h264_nvenc",
        .codec = "h264",
        .stream_format = "h264",
        .muxer = "h264",
        .demuxer = "h264",
        .pixel_formats = "yuv420p",
        .min_side = 160,
        .max_side = 4096,
        .size_multiple = 16,
        .quality = qp(1, 51, 6),
        .quality_option = "qp",
        .defaults = "preset=p7,tune=hq,rc=constqp,bf=0",
        .intra = "g=1",
        .hardware = true,
    },
    {
        .name = "hevc_nvenc",
        .codec = "hevc",
        .stream_format = "hevc",
        .muxer = "hevc",
        .demuxer = "hevc",
        .pixel_formats = "yuv420p p010le",
        .min_side = 160,
        .max_side = 8192,
        .size_multiple = 32,
        .quality = qp(1, 51, 6),
        .quality_option = "qp",
        .defaults = "preset=p7,tune=hq,rc=constqp,bf=0",
        .intra = "g=1",
        .hardware = true,
    },
    {
        .name = "av1_nvenc",
        .codec = "av1",
        .stream_format = "obu",
        .muxer = "obu",
        .demuxer = "obu",
        .pixel_formats = "yuv420p p010le",
        .min_side = 192,
        .max_side = 8192,
        .size_multiple = 64,
        .quality = qp(1, 255, 32),
        .quality_option = "qp",
        .defaults = "preset=p7,tune=hq,rc=constqp,bf=0",
        .intra = "g=1",
        .hardware = true,
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

bool is_container(std::string_view name) {
  static constexpr std::string_view kContainers[] = {
      "avs2",        "avs3",        "cavsvideo",  "dirac",      "evc",       "h261",
      "h263",        "h264",        "hevc",       "image2pipe", "ivf",       "m4v",
      "matroska",    "mjpeg",       "mpeg1video", "mpeg2video", "mpegvideo", "nut",
      "obu",         "vc1",         "vvc",        "bmp_pipe",   "j2k_pipe",  "jpeg_pipe",
      "jpegls_pipe", "jpegxl_pipe", "png_pipe",   "qoi_pipe",   "tiff_pipe", "webp_pipe"};
  return std::find(std::begin(kContainers), std::end(kContainers), name) != std::end(kContainers);
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
