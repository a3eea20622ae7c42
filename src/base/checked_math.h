// SPDX-License-Identifier: BSD-3-Clause
// Integer arithmetic on sizes that come from a file: every product and sum is checked.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace llmcodec {

inline std::optional<uint64_t> checked_mul(uint64_t a, uint64_t b) {
  uint64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

inline std::optional<uint64_t> checked_add(uint64_t a, uint64_t b) {
  uint64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

// Product of all factors; 1 for none.
inline std::optional<uint64_t> checked_product(std::span<const uint64_t> factors) {
  uint64_t product = 1;
  for (uint64_t factor : factors) {
    if (__builtin_mul_overflow(product, factor, &product)) return std::nullopt;
  }
  return product;
}

constexpr uint64_t ceil_div(uint64_t a, uint64_t b) {
  return a / b + (a % b != 0);
}
constexpr uint64_t align_up(uint64_t value, uint64_t alignment) {
  return ceil_div(value, alignment) * alignment;
}

}  // namespace llmcodec
