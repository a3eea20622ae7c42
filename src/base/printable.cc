// SPDX-License-Identifier: BSD-3-Clause
#include "base/printable.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>

#include "base/utf8.h"

namespace llmcodec {
namespace {

struct Range {
  char32_t first, last;
};

// Besides control characters: what has no glyph, or moves others.
constexpr std::array kHidden = {Range{0x061c, 0x061c},  // Arabic letter mark
                                Range{0x200b, 0x200f},  // zero width, direction marks
                                Range{0x2028, 0x202e},  // separators of lines, embeddings and overrides
                                Range{0x2060, 0x206f},  // word joiner, isolates, deprecated format controls
                                Range{0xfeff, 0xfeff},  // byte order mark
                                Range{0xfff9, 0xfffb},  // annotations
                                Range{0xe0000, 0xe0fff}};  // tags and variation selectors

bool is_hidden(char32_t c) {
  if (c < 0x20 || (c >= 0x7f && c < 0xa0)) return true;
  return std::ranges::any_of(kHidden,
                             [c](const Range& range) { return c >= range.first && c <= range.last; });
}

// Of one well-formed sequence.
char32_t code_point(std::string_view sequence) {
  constexpr std::array<unsigned char, 5> kLeadBits = {0, 0x7f, 0x1f, 0x0f, 0x07};
  char32_t c = static_cast<unsigned char>(sequence[0]) & kLeadBits[sequence.size()];
  for (const char next : sequence.substr(1)) c = c << 6 | (static_cast<unsigned char>(next) & 0x3f);
  return c;
}

}  // namespace

std::string printable(std::string_view text, size_t max_bytes) {
  std::string shown;
  std::string_view left = text;
  while (!left.empty() && shown.size() < max_bytes) {
    const size_t length = utf8_sequence(left);
    const std::string_view piece = left.substr(0, std::max<size_t>(length, 1));
    left.remove_prefix(piece.size());
    const char32_t c = length == 0 ? 0 : code_point(piece);
    if (length > 0 && !is_hidden(c)) {
      shown += piece;
    } else if (length <= 1) {
      fmt::format_to(std::back_inserter(shown), "\\x{:02x}", static_cast<unsigned char>(piece[0]));
    } else {
      fmt::format_to(std::back_inserter(shown), "\\u{:04x}", static_cast<uint32_t>(c));
    }
  }
  if (!left.empty()) shown += fmt::format("... ({} bytes)", text.size());
  return shown;
}

}  // namespace llmcodec
