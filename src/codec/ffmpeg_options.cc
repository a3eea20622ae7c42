// SPDX-License-Identifier: BSD-3-Clause
#include "codec/ffmpeg_options.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "codec/frame_format.h"

namespace llmcodec {
namespace {

Result<double> take_number(CodecSpec* spec, std::string_view key, double fallback) {
  const std::string text = spec->take(key, "");
  if (text.empty()) return fallback;
  double value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return error(ErrorKind::kInvalidArgument, "codec '{}': {}={} is not a number", spec->name, key, text);
  }
  return value;
}

Result<std::string> take_required(CodecSpec* spec, std::string_view key) {
  std::string value = spec->take(key, "");
  if (value.empty()) {
    return error(ErrorKind::kInvalidArgument,
                 "codec '{}' is not in this program's table: state {}=... (see docs/codecs.md)", spec->name,
                 key);
  }
  return value;
}

Result<QualityRange> take_quality_range(CodecSpec* spec) {
  QualityRange range;
  LLMC_ASSIGN_OR_RETURN(range.min, take_number(spec, "quality_min", 1));
  LLMC_ASSIGN_OR_RETURN(range.max, take_number(spec, "quality_max", 31));
  LLMC_ASSIGN_OR_RETURN(range.step, take_number(spec, "quality_step", 1));
  LLMC_ASSIGN_OR_RETURN(range.per_octave, take_number(spec, "quality_per_octave", 6));
  if (!(range.step > 0) || range.min > range.max) {
    return error(ErrorKind::kInvalidArgument, "codec '{}': quality from {} to {} in steps of {} is no range",
                 spec->name, range.min, range.max, range.step);
  }
  return range;
}

// The rule of an encoder that we know nothing about.
Result<EncoderRule> take_generic_rule(CodecSpec* spec) {
  EncoderRule rule;
  rule.name = spec->name;
  LLMC_ASSIGN_OR_RETURN(rule.quality_option, take_required(spec, "quality_option"));
  LLMC_ASSIGN_OR_RETURN(rule.pixel_formats, take_required(spec, "pixel_formats"));
  LLMC_ASSIGN_OR_RETURN(rule.quality, take_quality_range(spec));
  LLMC_ASSIGN_OR_RETURN(rule.quality_from, take_number(spec, "quality_from", 0));
  rule.muxer = spec->take("muxer", "nut");
  rule.demuxer = spec->take("demuxer", rule.muxer);
  for (const std::string& container : {rule.muxer, rule.demuxer}) {
    if (!is_container(container))
      return error(ErrorKind::kInvalidArgument,
                   "codec '{}': '{}' is none of the containers that are used here", spec->name, container);
  }
  rule.stream_format = rule.muxer;
  rule.min_side = 64;
  rule.size_multiple = 2;
  rule.defaults = "threads=1";
  rule.intra = "g=1";
  if (rule.quality_option == "none") {
    rule.quality_option.clear();
    rule.quality.lossless_only = rule.lossless = true;
  }
  if (plane_depths(rule.pixel_formats).empty()) {
    return error(ErrorKind::kInvalidArgument, "codec '{}': no grey or 4:2:0 pixel format in '{}'", spec->name,
                 rule.pixel_formats);
  }
  return rule;
}

// Other frames than the table's. A decoder knows only the name, so they must be padded as those are.
Status take_pixel_formats(CodecSpec* spec, EncoderRule* rule) {
  rule->pixel_formats = spec->take("pixel_formats", rule->pixel_formats);
  if (plane_depths(rule->pixel_formats).empty()) {
    return error(ErrorKind::kInvalidArgument, "codec '{}': no grey or 4:2:0 pixel format in '{}'", rule->name,
                 rule->pixel_formats);
  }
  if (rule->size_multiple % 2 != 0 && rule->pixel_formats.find("420") != std::string::npos) {
    return error(ErrorKind::kInvalidArgument, "codec '{}' takes sides that are odd, which 4:2:0 has not",
                 rule->name);
  }
  return Status::ok();
}

Result<std::string> profile_options(const EncoderRule& rule, const std::string& profile) {
  const bool is_intra = profile == "intra", is_low_delay = profile == "low_delay";
  if (!is_intra && !is_low_delay && profile != "random_access") {
    return error(ErrorKind::kInvalidArgument,
                 "codec '{}': profile '{}' is none of intra, low_delay, random_access", rule.name, profile);
  }
  const std::string& options = is_intra ? rule.intra : is_low_delay ? rule.low_delay : rule.random_access;
  if (options == "-")
    return error(ErrorKind::kInvalidArgument, "codec '{}' has no profile {}", rule.name, profile);
  return options;
}

void merge_option(const CodecOption& option, const EncoderRule& rule, CodecSpec* merged) {
  const std::string* old = merged->find(option.first);
  if (old != nullptr && option.first == rule.parameter_option) {
    merged->set(option.first, merge_parameter_lists(*old, option.second, rule.parameter_separator));
  } else {
    merged->set(option.first, option.second);
  }
}

Status merge_defaults(const std::string& options, const EncoderRule& rule, CodecSpec* merged) {
  if (options.empty()) return Status::ok();
  LLMC_ASSIGN_OR_RETURN(const CodecSpec parsed, parse_codec_spec(rule.name + ":" + options));
  for (const CodecOption& option : parsed.options) merge_option(option, rule, merged);
  return Status::ok();
}

bool sets_quality(const CodecSpec& user, const EncoderRule& rule, const std::string& option) {
  const size_t slash = option.find('/');
  const std::string* given = user.find(option.substr(0, slash));
  if (given == nullptr || slash == std::string::npos) return given != nullptr;
  const std::string list = rule.parameter_separator + *given;
  return list.find(rule.parameter_separator + option.substr(slash + 1) + "=") != std::string::npos;
}

Status refuse_quality_option(const CodecSpec& user, const EncoderRule& rule) {
  for (const std::string& option : split(rule.quality_option, ' ')) {
    if (!sets_quality(user, rule, option)) continue;
    return error(ErrorKind::kInvalidArgument,
                 "codec '{}': '{}' is the codec's quality, which is chosen for each picture", rule.name,
                 option);
  }
  return Status::ok();
}

Status check_quality(const EncoderRule& rule, double quality) {
  const QualityRange& range = rule.quality;
  const double steps = (quality - range.min) / range.step;
  if (quality >= range.min && quality <= range.max && std::abs(steps - std::round(steps)) < 1e-6)
    return Status::ok();
  return error(ErrorKind::kInvalidArgument, "codec '{}' takes qualities from {} to {} in steps of {}, not {}",
               rule.name, range.min, range.max, range.step, quality);
}

// Halves of a twelfth of an octave from constants: the text must not depend on the machine's exp2().
double distance_of(double quality) {
  static constexpr double kTwelfths[] = {1,
                                         1.0594630943592953,
                                         1.122462048309373,
                                         1.189207115002721,
                                         1.2599210498948732,
                                         1.3348398541700344,
                                         1.4142135623730951,
                                         1.4983070768766815,
                                         1.5874010519681994,
                                         1.681792830507429,
                                         1.7817974362806785,
                                         1.887748625363387};
  const int twelfths = static_cast<int>(std::lround((quality - 22) * 2)) + 12 * 16;
  return std::ldexp(kTwelfths[twelfths % 12], twelfths / 12 - 16);
}

// The value as the encoder takes it.
std::string quality_text(const EncoderRule& rule, double quality, uint32_t frame_depth) {
  const QualityRange& range = rule.quality;
  if (rule.quality_scale == QualityScale::kDistance) return fmt::format("{:.4g}", distance_of(quality));
  if (rule.quality_scale == QualityScale::kRatio) {
    return fmt::format("{}", compression_level(ratio_of(quality, frame_depth)));
  }
  if (rule.quality_from != 0) quality = rule.quality_from - quality;
  return range.step >= 1 ? fmt::format("{:.0f}", quality) : fmt::format("{:.6g}", quality);
}

}  // namespace

Result<EncoderRule> decoding_rule(const std::string& spec) {
  if (const EncoderRule* rule = find_encoder_rule(spec.substr(0, spec.find(':')))) return *rule;
  LLMC_ASSIGN_OR_RETURN(CodecSpec parsed, parse_codec_spec(spec));
  return take_generic_rule(&parsed);
}

Result<EncoderSettings> resolve_encoder(const CodecSpec& spec) {
  CodecSpec user = spec;
  EncoderSettings settings;
  const std::string profile = user.take("profile", "intra");
  if (const EncoderRule* rule = find_encoder_rule(spec.name)) {
    settings.rule = *rule;
    LLMC_RETURN_IF_ERROR(take_pixel_formats(&user, &settings.rule));
  } else {
    LLMC_ASSIGN_OR_RETURN(settings.rule, take_generic_rule(&user));
  }
  const EncoderRule& rule = settings.rule;
  LLMC_RETURN_IF_ERROR(refuse_quality_option(user, rule));
  LLMC_ASSIGN_OR_RETURN(const std::string of_profile, profile_options(rule, profile));

  CodecSpec merged{spec.name, {}};
  LLMC_RETURN_IF_ERROR(merge_defaults(rule.defaults, rule, &merged));
  LLMC_RETURN_IF_ERROR(merge_defaults(of_profile, rule, &merged));
  if (user.find(rule.preset_option) == nullptr)
    LLMC_RETURN_IF_ERROR(merge_defaults(rule.tuned, rule, &merged));
  for (const CodecOption& option : user.options) merge_option(option, rule, &merged);
  settings.options = merged.options;
  settings.has_user_options = !user.options.empty();

  settings.full = spec;  // keeps our keys; FFmpeg's are replaced by the merged ones
  settings.full.options.clear();
  settings.full.set("profile", profile);
  for (const CodecOption& option : spec.options) {
    if (user.find(option.first) == nullptr) settings.full.set(option.first, option.second);
  }
  for (const CodecOption& option : settings.options) settings.full.set(option.first, option.second);
  return settings;
}

double ratio_of(double quality, uint32_t frame_depth) {
  return frame_depth / (8 - quality / 6);
}

uint32_t compression_level(double ratio) {
  return static_cast<uint32_t>(std::ceil(ratio / kRatioPerCompressionLevel - 1e-9));
}

Result<std::vector<std::string>> encoder_arguments(const EncoderSettings& settings, double quality,
                                                   uint32_t frame_depth) {
  const EncoderRule& rule = settings.rule;
  CodecSpec merged{rule.name, settings.options};
  if (!rule.quality.lossless_only) {
    LLMC_RETURN_IF_ERROR(check_quality(rule, quality));
    const std::string value = quality_text(rule, quality, frame_depth);
    for (const std::string& option : split(rule.quality_option, ' ')) {
      const size_t slash = option.find('/');
      if (slash == std::string::npos) {
        merged.set(option, value);
      } else {
        merge_option({rule.parameter_option, option.substr(slash + 1) + "=" + value}, rule, &merged);
      }
    }
  }
  std::vector<std::string> arguments;
  for (const auto& [key, value] : merged.options) {
    arguments.push_back("-" + key);
    arguments.push_back(value);
  }
  return arguments;
}

}  // namespace llmcodec
