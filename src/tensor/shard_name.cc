// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/shard_name.h"

#include <fmt/format.h>

#include <charconv>

namespace llmcodec {
namespace {

constexpr size_t kDigits = 5;

std::optional<uint32_t> five_digits(std::string_view text) {
  uint32_t number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.size() != kDigits || code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

bool is_index_name(std::string_view name) {
  return name.ends_with(kIndexSuffix) || is_variant_index_name(name);
}

bool is_variant_index_name(std::string_view name) {
  constexpr std::string_view kBefore = ".safetensors.index.", kAfter = ".json";
  const size_t found = name.find(kBefore);
  if (found == name.npos || found == 0 || !name.ends_with(kAfter)) return false;
  const size_t variant = found + kBefore.size();
  return name.size() > variant + kAfter.size() && name.find('/') == name.npos;
}

std::optional<ShardName> parse_shard_name(std::string_view name, std::string_view suffix) {
  constexpr std::string_view kOf = "-of-";
  constexpr size_t kTail = 1 + kDigits + kOf.size() + kDigits;  // "-00001-of-00002"
  if (!name.ends_with(suffix)) return std::nullopt;
  name.remove_suffix(suffix.size());
  if (name.size() <= kTail) return std::nullopt;
  const std::string_view tail = name.substr(name.size() - kTail);
  const auto number = five_digits(tail.substr(1, kDigits));
  const auto count = five_digits(tail.substr(kTail - kDigits));
  if (tail[0] != '-' || tail.substr(1 + kDigits, kOf.size()) != kOf || !number || !count) return std::nullopt;
  return ShardName{std::string(name.substr(0, name.size() - kTail)), *number, *count};
}

std::string shard_file_name(const ShardName& shard, std::string_view suffix) {
  return fmt::format("{}-{:05}-of-{:05}{}", shard.stem, shard.number, shard.count, suffix);
}

}  // namespace llmcodec
