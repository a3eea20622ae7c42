// SPDX-License-Identifier: BSD-3-Clause
// The text form of a codec with its options:
//
//   name[:key=value[,key=value]...]         libx265:preset=slow,x265-params=rd=4:rdoq-level=2
//
// The name ends at the first colon; a key ends at the first '=' and may hold colons (FFmpeg's "q:v"). In a
// value a comma or a backslash is written "\," or "\\"; colons and '=' stand for themselves. Keys are
// unique, order is kept.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "llmcodec/status.h"

namespace llmcodec {

using CodecOption = std::pair<std::string, std::string>;

struct CodecSpec {
  std::string name;
  std::vector<CodecOption> options;

  // nullptr when absent.
  const std::string* find(std::string_view key) const;
  // Replaces the value where the key stands, or adds the pair at the end.
  void set(std::string_view key, std::string_view value);
  // Removes the key and gives its value, or `fallback`.
  std::string take(std::string_view key, std::string_view fallback);
};

// InvalidArgument: empty name, a part without '=', an empty or repeated key, a stray backslash at the end.
Result<CodecSpec> parse_codec_spec(std::string_view text);

// The inverse: parse_codec_spec(format_codec_spec(s)) equals s.
std::string format_codec_spec(const CodecSpec& spec);

// The parts between separators, empty ones left out.
std::vector<std::string> split(std::string_view text, char separator);

// Lists inside one value, as encoders take them ("keyint=1:no-sao=1"): `overrides` replaces what `base` says
// about the same key and appends the rest. A part without '=' is its own key.
std::string merge_parameter_lists(std::string_view base, std::string_view overrides, char separator);

}  // namespace llmcodec
