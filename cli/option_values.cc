// SPDX-License-Identifier: BSD-3-Clause
#include "option_values.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "text_format.h"

namespace llmcodec::cli {
namespace {

// True when all of `text` is one number.
template <class T>
bool parse_all(const std::string& text, T* number) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return code == std::errc() && end == text.data() + text.size();
}

}  // namespace

CLI::Validator positive_number() {
  return CLI::Validator(
      [](std::string& text) {
        double number = 0;
        const bool good = parse_all(text, &number) && number > 0 && std::isfinite(number);
        return good ? std::string() : fmt::format("'{}' is no positive number", text);
      },
      "");
}

CLI::Validator integer_between(int64_t least, int64_t most) {
  return CLI::Validator(
      [least, most](std::string& text) {
        int64_t number = 0;
        const bool good = parse_all(text, &number) && number >= least && number <= most;
        return good ? std::string() : fmt::format("'{}' is no whole number from {} to {}", text, least, most);
      },
      "");
}

CLI::Validator byte_size() {
  return CLI::Validator(
      [](std::string& text) {
        const Result<uint64_t> bytes = parse_bytes(text);
        if (!bytes.is_ok()) return bytes.error().message;
        text = std::to_string(*bytes);
        return std::string();
      },
      "");
}

CLI::Option* one_of(CLI::Option* option, const std::vector<std::string>& words) {
  const auto check = [words](std::string& text) {
    const bool found = std::ranges::find(words, text) != words.end();
    return found ? std::string() : fmt::format("'{}' is none of {}", text, fmt::join(words, ", "));
  };
  return option->check(CLI::Validator(check, ""))->type_name(fmt::format("{{{}}}", fmt::join(words, ",")));
}

CLI::Option* repeatable(CLI::Option* option) {
  return option->allow_extra_args(false)->take_all();
}

std::string HelpFormat::make_option_opts(const CLI::Option* option) const {
  std::string text;
  if (option->get_items_expected_max() > 0 && !option->get_type_name().empty())
    text += " " + option->get_type_name();
  if (!option->get_default_str().empty()) text += " [" + option->get_default_str() + "]";
  if (option->get_required() && !option->get_positional()) text += " (required)";
  return text;
}

}  // namespace llmcodec::cli
