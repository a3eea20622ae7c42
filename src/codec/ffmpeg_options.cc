// SPDX-License-Identifier: BSD-3-Clause
#include "codec/ffmpeg_options.h"

#include <algorithm>
#include <charconv>
#include <cmath>

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
  rule.muxer = spec->take("muxer", "nut");
  rule.demuxer = spec->take("demuxer", rule.muxer);
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

Status refuse_quality_option(const CodecSpec& user, const EncoderRule& rule) {
  const size_t slash = rule.quality_option.find('/');
  const std::string* given = user.find(rule.quality_option.substr(0, slash));
  if (given == nullptr || rule.quality_option.empty()) return Status::ok();
  if (slash != std::string::npos) {
    const std::string key = rule.quality_option.substr(slash + 1) + "=";
    const std::string list = rule.parameter_separator + *given;
    if (list.find(rule.parameter_separator + key) == std::string::npos) return Status::ok();
  }
  return error(ErrorKind::kInvalidArgument,
               "codec '{}': '{}' is the codec's quality, which is chosen for each picture", rule.name,
               rule.quality_option);
}

}  // namespace

Result<EncoderSettings> resolve_encoder(const CodecSpec& spec) {
  CodecSpec user = spec;
  EncoderSettings settings;
  const std::string profile = user.take("profile", "intra");
  if (const EncoderRule* rule = find_encoder_rule(spec.name)) {
    settings.rule = *rule;
  } else {
    LLMC_ASSIGN_OR_RETURN(settings.rule, take_generic_rule(&user));
  }
  const EncoderRule& rule = settings.rule;
  LLMC_RETURN_IF_ERROR(refuse_quality_option(user, rule));
  LLMC_ASSIGN_OR_RETURN(const std::string of_profile, profile_options(rule, profile));

  CodecSpec merged{spec.name, {}};
  LLMC_RETURN_IF_ERROR(merge_defaults(rule.defaults, rule, &merged));
  LLMC_RETURN_IF_ERROR(merge_defaults(of_profile, rule, &merged));
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

Result<std::vector<std::string>> encoder_arguments(const EncoderSettings& settings, double quality) {
  const EncoderRule& rule = settings.rule;
  const QualityRange& range = rule.quality;
  std::vector<CodecOption> options = settings.options;
  if (!range.lossless_only) {
    const double steps = (quality - range.min) / range.step;
    if (!(quality >= range.min && quality <= range.max) || std::abs(steps - std::round(steps)) > 1e-6) {
      return error(ErrorKind::kInvalidArgument,
                   "codec '{}' takes qualities from {} to {} in steps of {}, not {}", rule.name, range.min,
                   range.max, range.step, quality);
    }
    const std::string value =
        range.step >= 1 ? fmt::format("{:.0f}", quality) : fmt::format("{:.6g}", quality);
    CodecSpec merged{rule.name, std::move(options)};
    const size_t slash = rule.quality_option.find('/');
    if (slash == std::string::npos) {
      merged.set(rule.quality_option, value);
    } else {
      merge_option({rule.parameter_option, rule.quality_option.substr(slash + 1) + "=" + value}, rule,
                   &merged);
    }
    options = std::move(merged.options);
  }
  std::vector<std::string> arguments;
  for (const auto& [key, value] : options) {
    arguments.push_back("-" + key);
    arguments.push_back(value);
  }
  return arguments;
}

}  // namespace llmcodec
