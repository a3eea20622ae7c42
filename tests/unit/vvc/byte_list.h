// SPDX-License-Identifier: BSD-3-Clause
// Bytes from numbers.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <vector>

namespace llmcodec::vvc {

inline std::vector<std::byte> bytes(std::initializer_list<int> values) {
  std::vector<std::byte> out;
  for (int value : values) out.push_back(static_cast<std::byte>(value));
  return out;
}

}  // namespace llmcodec::vvc
