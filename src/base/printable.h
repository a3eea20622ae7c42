// SPDX-License-Identifier: BSD-3-Clause
// Texts from files (names, the recorded command, what another program said) as a terminal may be given them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace llmcodec {

// Long enough for any command line that a person has typed.
inline constexpr size_t kMaxPrintedBytes = 4096;
// Of a name, where many are printed.
inline constexpr size_t kMaxPrintedNameBytes = 200;

// One line without anything that a terminal would obey, or that could pass for other text: control characters (C0, DEL,
// C1), marks that turn the direction of writing, characters without a glyph, line separators and bytes that are no UTF-8
// become "\x1b" (a byte) or "\u202e" (a character). Of more than `max_bytes` of text the first are shown, and how many
// bytes there are in all. Text without any of these comes back as it is. JSON does not need this, for it has escapes of
// its own.
std::string printable(std::string_view text, size_t max_bytes = kMaxPrintedBytes);

}  // namespace llmcodec
