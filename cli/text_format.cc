// SPDX-License-Identifier: BSD-3-Clause
#include "text_format.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>

#include "base/error.h"
#include "base/printable.h"

namespace llmcodec::cli {
namespace {

// Characters of UTF-8 text: bytes that do not continue one.
size_t text_width(const std::string& text) {
  return static_cast<size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

void append_cell(const std::string& cell, size_t width, Align align, std::string* line) {
  const std::string padding(width - std::min(width, text_width(cell)), ' ');
  *line += align == Align::kRight ? padding + cell : cell + padding;
}

// Factor of "", "K", "kb", "MiB", ...; 0 for what is no suffix.
double suffix_factor(std::string suffix) {
  for (char& c : suffix) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (suffix.ends_with('B')) suffix.pop_back();
  if (suffix.empty()) return 1;
  const size_t power = std::string("KMGT").find(suffix[0]);
  if (power == std::string::npos) return 0;
  if (suffix.size() == 1) return std::pow(1000.0, static_cast<double>(power + 1));
  return suffix.substr(1) == "I" ? std::pow(1024.0, static_cast<double>(power + 1)) : 0;
}

bool parse_side(std::string_view text, uint32_t* side) {
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), *side);
  return code == std::errc() && end == text.data() + text.size() && *side >= 1 && *side <= 1u << 20;
}

}  // namespace

std::string grouped(uint64_t number) {
  std::string text = std::to_string(number);
  for (size_t i = text.size(); i > 3;) text.insert(i -= 3, 1, ',');
  return text;
}

std::string short_bytes(uint64_t bytes) {
  if (bytes < 1000) return fmt::format("{} B", bytes);
  constexpr std::array kUnits = {"kB", "MB", "GB", "TB", "PB", "EB"};
  double value = static_cast<double>(bytes) / 1000;
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", value, value < 9.95 ? 1 : 0, kUnits[unit]);
}

std::string short_duration(double seconds) {
  if (!(seconds >= 0) || seconds > 1e9) return "?";
  if (seconds < 9.95) return fmt::format("{:.2f} s", seconds);
  const auto whole = static_cast<uint64_t>(std::llround(seconds));
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{}:{:02}", whole / 60, whole % 60);
  return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
}

std::string decimals(double value, int count) {
  if (std::isnan(value)) return "-";
  if (std::isinf(value)) return value > 0 ? "exact" : "-";
  return fmt::format("{:.{}f}", value, count);
}

Result<uint64_t> parse_bytes(const std::string& text) {
  double number = 0;
  const auto [end, code] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  const double factor = suffix_factor(std::string(end, text.data() + text.size()));
  if (code != std::errc() || factor == 0)
    return error(ErrorKind::kInvalidArgument, "'{}' is no size in bytes (1500, 1.5K, 2GB, 64KiB)", text);
  const double bytes = number * factor;
  if (!(bytes >= 1 && bytes < 0x1p63))
    return error(ErrorKind::kInvalidArgument, "'{}' is not between one byte and 2^63", text);
  return static_cast<uint64_t>(bytes);
}

Result<PlaneSize> parse_plane_size(const std::string& text) {
  const size_t cross = text.find('x');
  PlaneSize size;
  const bool width = parse_side(std::string_view(text).substr(0, cross), &size.width);
  size.height = size.width;
  const bool height =
      cross == std::string::npos || parse_side(std::string_view(text).substr(cross + 1), &size.height);
  if (!width || !height)
    return error(ErrorKind::kInvalidArgument, "'{}' is no size (1024 or 1024x512)", text);
  return size;
}

void TextTable::add(std::vector<std::string> cells) {
  for (std::string& cell : cells) cell = printable(cell, kMaxPrintedNameBytes);
  rows_.push_back(std::move(cells));
}

std::string TextTable::to_string() const {
  std::vector<std::string> titles;
  std::vector<size_t> widths;
  for (const Column& column : columns_) {
    titles.push_back(column.title);
    widths.push_back(text_width(column.title));
  }
  for (const auto& row : rows_) {
    for (size_t c = 0; c < widths.size(); ++c) widths[c] = std::max(widths[c], text_width(row[c]));
  }
  std::string text;
  const auto add_line = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t c = 0; c < cells.size(); ++c) {
      if (c > 0) line += "  ";
      append_cell(cells[c], widths[c], columns_[c].align, &line);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  };
  add_line(titles);
  for (const auto& row : rows_) add_line(row);
  return text;
}

}  // namespace llmcodec::cli
