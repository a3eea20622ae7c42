// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/cabac/cabac_cost.h"

#include <array>
#include <bit>

namespace llmcodec::vvc {
namespace {

// log2(x) in 2^-24 for x >= 1, by squaring: integer arithmetic only, so the same on every machine.
constexpr uint64_t log2_fixed(uint32_t x) {
  uint64_t result = static_cast<uint64_t>(std::bit_width(x) - 1);
  uint64_t mantissa = (uint64_t{x} << 31) >> result;  // [1, 2) in 2^-31
  for (int bit = 0; bit < 24; ++bit) {
    mantissa = (mantissa * mantissa) >> 31;
    const uint64_t one = mantissa >> 32;
    mantissa >>= one;
    result = result << 1 | one;
  }
  return result;
}

struct CostTable {
  std::array<uint32_t, 32> lps{}, mps{};  // by q = P(LPS) >> 9
  constexpr CostTable() {
    std::array<uint64_t, 512> log2_of{};
    for (uint32_t x = 1; x < 512; ++x) log2_of[x] = log2_fixed(x);
    // A coder's range spends a share of its time proportional to 1/range at each value.
    for (uint32_t q = 0; q < 32; ++q) {
      uint64_t weight_sum = 0, lps_sum = 0, mps_sum = 0;
      for (uint32_t range = 256; range <= 510; ++range) {
        const uint64_t weight = (1u << 16) / range;
        const uint32_t part = lps_range(q, range);
        weight_sum += weight;
        lps_sum += weight * (log2_of[range] - log2_of[part]);
        mps_sum += weight * (log2_of[range] - log2_of[range - part]);
      }
      constexpr int kShift = 24 - kLog2Bit;
      lps[q] = static_cast<uint32_t>((lps_sum / weight_sum + (1 << (kShift - 1))) >> kShift);
      mps[q] = static_cast<uint32_t>((mps_sum / weight_sum + (1 << (kShift - 1))) >> kShift);
    }
  }
};
constexpr CostTable kCost;

}  // namespace

uint32_t bin_cost(int probability, int bin) {
  const int mps = probability >> 14;
  const int q = (mps ? 32767 - probability : probability) >> 9;
  return bin == mps ? kCost.mps[q] : kCost.lps[q];
}

}  // namespace llmcodec::vvc
