// SPDX-License-Identifier: BSD-3-Clause
// Names of files that come from a file, relative to a folder that they must not leave.
#pragma once

#include <string_view>

namespace llmcodec {

// UTF-8, relative, in parts separated by '/' of which none is empty, "." or ".."; no backslash and no control character
// (below U+0020, U+007F). Links on the way are the caller's affair.
bool is_plain_name(std::string_view name);

}  // namespace llmcodec
