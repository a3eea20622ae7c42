// SPDX-License-Identifier: BSD-3-Clause
// Well-formed UTF-8 as in the Unicode standard: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <string_view>

namespace llmcodec {

// Length in bytes, 1 to 4, of the well-formed sequence at the start of `text`; 0 if there is none, or no text.
size_t utf8_sequence(std::string_view text);

// Whether all of `text` is well-formed.
bool is_utf8(std::string_view text);

}  // namespace llmcodec
