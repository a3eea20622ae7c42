// SPDX-License-Identifier: BSD-3-Clause
#include "codec/codec_spec.h"

#include <algorithm>

#include "base/error.h"

namespace llmcodec {
namespace {

// Splits at unescaped commas and undoes the escapes.
Result<std::vector<std::string>> split_options(std::string_view text) {
  std::vector<std::string> parts(1);
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == ',') {
      parts.emplace_back();
      continue;
    }
    if (text[i] == '\\' && ++i == text.size()) {
      return error(ErrorKind::kInvalidArgument, "codec options '{}' end in a lone backslash", text);
    }
    parts.back() += text[i];
  }
  return parts;
}

std::string escape(std::string_view value) {
  std::string escaped;
  for (char c : value) {
    if (c == ',' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string_view key_of(std::string_view parameter) {
  return parameter.substr(0, parameter.find('='));
}

}  // namespace

const std::string* CodecSpec::find(std::string_view key) const {
  const auto found =
      std::find_if(options.begin(), options.end(), [&](const auto& o) { return o.first == key; });
  return found == options.end() ? nullptr : &found->second;
}

void CodecSpec::set(std::string_view key, std::string_view value) {
  const auto found =
      std::find_if(options.begin(), options.end(), [&](const auto& o) { return o.first == key; });
  if (found != options.end()) {
    found->second = value;
  } else {
    options.emplace_back(key, value);
  }
}

std::string CodecSpec::take(std::string_view key, std::string_view fallback) {
  const auto found =
      std::find_if(options.begin(), options.end(), [&](const auto& o) { return o.first == key; });
  if (found == options.end()) return std::string(fallback);
  std::string value = std::move(found->second);
  options.erase(found);
  return value;
}

Result<CodecSpec> parse_codec_spec(std::string_view text) {
  const size_t colon = text.find(':');
  CodecSpec spec;
  spec.name = text.substr(0, colon);
  if (spec.name.empty()) return error(ErrorKind::kInvalidArgument, "codec '{}' has no name", text);
  if (colon == std::string_view::npos) return spec;
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::string> parts, split_options(text.substr(colon + 1)));
  for (const std::string& part : parts) {
    const size_t equals = part.find('=');
    if (equals == std::string::npos || equals == 0) {
      return error(ErrorKind::kInvalidArgument, "codec '{}': '{}' is not key=value", text, part);
    }
    const std::string key = part.substr(0, equals);
    if (spec.find(key) != nullptr) {
      return error(ErrorKind::kInvalidArgument, "codec '{}': option '{}' is given twice", text, key);
    }
    spec.options.emplace_back(key, part.substr(equals + 1));
  }
  return spec;
}

std::string format_codec_spec(const CodecSpec& spec) {
  std::string text = spec.name;
  char separator = ':';
  for (const auto& [key, value] : spec.options) {
    text += separator + escape(key) + '=' + escape(value);
    separator = ',';
  }
  return text;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    if (end > 0) parts.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

std::string merge_parameter_lists(std::string_view base, std::string_view overrides, char separator) {
  std::vector<std::string> merged = split(base, separator);
  for (const std::string& parameter : split(overrides, separator)) {
    const auto same = std::find_if(merged.begin(), merged.end(), [&](std::string_view other) {
      return key_of(other) == key_of(parameter);
    });
    if (same != merged.end()) {
      *same = parameter;
    } else {
      merged.push_back(parameter);
    }
  }
  std::string text;
  for (const std::string& parameter : merged) {
    if (!text.empty()) text += separator;
    text += parameter;
  }
  return text;
}

}  // namespace llmcodec
