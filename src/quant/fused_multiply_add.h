// SPDX-License-Identifier: BSD-3-Clause
// a * b + c of floats, rounded once, for processors without an instruction for it: what std::fma gives, many
// times faster than a C library does it without the instruction.
#pragma once

#include <bit>
#include <cstdint>

namespace llmcodec {

// Finite values; the sum's magnitude is 0 or normal, in the range of a float.
inline float fused_multiply_add(float a, float b, float c) {
  // The product is exact in double. The sum is rounded to odd, which a second rounding to two bits fewer or
  // less cannot tell from the exact sum (Boldo and Melquiond, "When double rounding is odd", 2005).
  const double product = double{a} * double{b}, addend = c;
  const double sum = product + addend;
  const double back = sum - product;
  const double error = (product - (sum - back)) + (addend - back);  // exact (Knuth, TAOCP 2, 4.2.2)
  uint64_t bits = std::bit_cast<uint64_t>(sum);
  const bool inexact = error != 0, even = (bits & 1) == 0, outwards = (error > 0) == (sum > 0);
  if (inexact && even) bits += outwards ? 1 : uint64_t{0} - 1;
  return static_cast<float>(std::bit_cast<double>(bits));
}

}  // namespace llmcodec
