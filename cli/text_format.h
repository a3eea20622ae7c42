// SPDX-License-Identifier: BSD-3-Clause
// Numbers as people read and write them, and aligned tables.
//
// Example:
//
//   TextTable table({{"tensor"}, {"bytes", Align::kRight}});
//   table.add({"blk.0.attn_q.weight", grouped(331776)});
//   fmt::print("{}", table.to_string());
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "llmcodec/status.h"

namespace llmcodec::cli {

std::string grouped(uint64_t number);           // "12,345,678"
std::string short_bytes(uint64_t bytes);        // "812 B", "3.4 MB" (powers of 1000)
std::string short_duration(double seconds);     // "0.42 s", "38 s", "4:07", "1:02:45"
std::string decimals(double value, int count);  // fixed notation; "exact" for infinity, "-" for NaN

// Bytes from "1500", "1.5K", "2GB" (powers of 1000) or "64KiB", "4Gi" (powers of 1024); letters in any case.
// InvalidArgument for anything else, for 0, and beyond 2^63.
Result<uint64_t> parse_bytes(const std::string& text);

// Width and height from "1024" (a square) or "1024x512". InvalidArgument for anything else;
// both at most 2^20.
struct PlaneSize {
  uint32_t width = 0, height = 0;
};
Result<PlaneSize> parse_plane_size(const std::string& text);

enum class Align { kLeft, kRight };

class TextTable {
 public:
  struct Column {
    std::string title;
    Align align = Align::kLeft;
  };
  explicit TextTable(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // One cell per column, of any text: it is made printable, and cut where it is so long that the others would be padded
  // out of sight (and to gigabytes, in a long table).
  void add(std::vector<std::string> cells);
  // Heading and rows, two blanks between columns, none at the end of a line; every line ends in a newline.
  std::string to_string() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace llmcodec::cli
