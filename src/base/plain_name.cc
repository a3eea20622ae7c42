// SPDX-License-Identifier: BSD-3-Clause
#include "base/plain_name.h"

#include <algorithm>

#include "base/utf8.h"

namespace llmcodec {

bool is_plain_name(std::string_view name) {
  if (!is_utf8(name)) return false;
  const auto is_bad = [](unsigned char c) { return c < 0x20 || c == 0x7f || c == '\\'; };
  if (std::ranges::any_of(name, is_bad)) return false;
  for (;;) {
    const size_t slash = name.find('/');
    const std::string_view part = name.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

}  // namespace llmcodec
