// SPDX-License-Identifier: BSD-3-Clause
#include "codec/ffmpeg_option_check.h"

#include <algorithm>

#include "base/error.h"
#include "codec/codec_spec.h"
#include "codec/ffmpeg_encoders.h"
#include "codec/ffmpeg_options.h"

namespace llmcodec {
namespace {

constexpr const char* kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr const char* kPlain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-";

bool is_plain(std::string_view text) {
  return text.find_first_not_of(kPlain) == std::string_view::npos;
}

// A name, perhaps with a stream specifier: "q:v".
bool is_option_name(std::string_view key) {
  const size_t colon = std::min(key.find(':'), key.size());
  const std::string_view specifier = key.substr(std::min(colon + 1, key.size()));
  return !key.empty() && std::string_view(kLetters).find(key[0]) != std::string_view::npos &&
         is_plain(key.substr(0, colon)) &&
         specifier.find_first_not_of("abcdefghijklmnopqrstuvwxyz:0123456789") == std::string_view::npos;
}

// FFmpeg takes "noNAME" for the opposite of an option NAME without a value.
bool is_program_option(std::string_view name, const std::set<std::string>& program_options) {
  static const std::set<std::string_view> kHarmless = {"b", "intra_matrix", "profile", "q", "qscale"};
  if (name == "i") return true;  // not in FFmpeg's list
  if (program_options.contains(std::string(name))) return !kHarmless.contains(name);
  return name.starts_with("no") && program_options.contains(std::string(name.substr(2)));
}

using Keys = std::set<std::string, std::less<>>;

// "preset"; a key inside the parameter option as "x265-params/rd".
void add_keys(const EncoderRule& rule, const std::string& options, Keys* keys) {
  const auto parsed = parse_codec_spec(rule.name + ":" + options);
  if (options.empty() || !parsed.is_ok()) return;  // "-": a profile that the encoder has not
  for (const auto& [key, value] : parsed->options) {
    keys->insert(key);
    if (key != rule.parameter_option) continue;
    for (const std::string& part : split(value, rule.parameter_separator))
      keys->insert(key + "/" + part.substr(0, part.find('=')));
  }
}

Keys keys_of(const EncoderRule& rule) {
  Keys keys = {"profile", rule.preset_option};
  for (const std::string* options :
       {&rule.defaults, &rule.tuned, &rule.intra, &rule.low_delay, &rule.random_access})
    add_keys(rule, *options, &keys);
  for (const std::string& key : split(rule.in_plans, ' ')) keys.insert(key);
  return keys;
}

// For an encoder that is not in our table: what describes it, and what we set.
const Keys& keys_of_unknown_encoder() {
  static const Keys kKeys = {"profile",      "quality_option", "quality_min",   "quality_max",
                             "quality_step", "quality_from",   "pixel_formats", "quality_per_octave",
                             "muxer",        "demuxer",        "threads",       "g"};
  return kKeys;
}

Error not_in_plans(const std::string& name, const std::string& key, const std::string& value) {
  return error(ErrorKind::kInvalidArgument,
               "codec '{}': a plan file may not set {}={} (docs/codecs.md says what it may)", name, key,
               value);
}

Status check_parameters(const EncoderRule& rule, const CodecOption& option, const Keys& keys) {
  for (const std::string& part : split(option.second, rule.parameter_separator)) {
    const size_t equals = std::min(part.find('='), part.size());
    const std::string value = part.substr(std::min(equals + 1, part.size()));
    if (!keys.contains(option.first + "/" + part.substr(0, equals)) || !is_plain(value))
      return not_in_plans(rule.name, option.first, part);
  }
  return Status::ok();
}

Status check_unknown_encoder(const CodecSpec& spec) {
  static const std::set<std::string_view> kQualityOptions = {"none", "q:v", "q",      "qscale:v",
                                                             "qp",   "crf", "quality"};
  for (const auto& [key, value] : spec.options) {
    const bool known = keys_of_unknown_encoder().contains(key);
    const bool good = key == "quality_option"  ? kQualityOptions.contains(value)
                      : key == "pixel_formats" ? !plane_depths(value).empty()
                                               : is_plain(value);
    if (!known || !good) return not_in_plans(spec.name, key, value);
  }
  return Status::ok();
}

}  // namespace

Status check_encoder_arguments(const std::string& encoder, std::span<const std::string> arguments,
                               const std::set<std::string>& program_options) {
  for (size_t i = 0; i < arguments.size(); i += 2) {
    const std::string key = arguments[i].substr(1);  // without the dash
    if (!is_option_name(key))
      return error(ErrorKind::kInvalidArgument, "codec '{}': '{}' is no name of an option", encoder, key);
    if (is_program_option(key.substr(0, key.find(':')), program_options))
      return error(ErrorKind::kInvalidArgument,
                   "codec '{}': '{}' is an option of the ffmpeg program, not of an encoder", encoder, key);
  }
  return Status::ok();
}

Status check_planned_codec(const std::string& spec) {
  LLMC_ASSIGN_OR_RETURN(const CodecSpec parsed, parse_codec_spec(spec));
  if (parsed.name == "raw" || parsed.name == "vvc") return Status::ok();
  const EncoderRule* rule = find_encoder_rule(parsed.name);
  if (rule == nullptr) return check_unknown_encoder(parsed);
  const Keys keys = keys_of(*rule);
  for (const CodecOption& option : parsed.options) {
    if (!keys.contains(option.first)) return not_in_plans(rule->name, option.first, option.second);
    if (option.first == rule->parameter_option) {
      LLMC_RETURN_IF_ERROR(check_parameters(*rule, option, keys));
    } else if (!is_plain(option.second)) {
      return not_in_plans(rule->name, option.first, option.second);
    }
  }
  return Status::ok();
}

}  // namespace llmcodec
