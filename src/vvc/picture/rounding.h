// SPDX-License-Identifier: BSD-3-Clause
// Rounding without a library call, so that loops over it become vector code.
#pragma once

#include <bit>
#include <cstdint>

namespace llmcodec::vvc {

// To nearest, ties to even, by adding a number whose last bit is worth one. |value| < 2^31.
inline int32_t round_to_even(double value) {
  return static_cast<int32_t>(std::bit_cast<int64_t>(value + 0x1.8p52));
}

}  // namespace llmcodec::vvc
