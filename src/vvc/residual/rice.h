// SPDX-License-Identifier: BSD-3-Clause
// The bypass codes of magnitudes, abs_remainder and dec_abs_level: Golomb-Rice codes with an escape (H.266
// 9.3.3.11 and 9.3.3.12).
//
// A code is a prefix of ones, a zero and a suffix. Up to kRicePrefixes ones it is a plain Rice code:
// the suffix has `rice` bits. With more ones it is an escape:
// the suffix grows by a bit with each of them (limited Exp-Golomb). The longest prefix, kMaxRicePrefix ones,
// has no zero behind it and a suffix of kMaxRiceSuffix bits, 32 bits in all.
//
// Example (CabacEncoder& encoder, CabacDecoder& decoder, int value, int rice):
//
//   rice_code(encoder, value, rice);                    // writes it
//   const int read = rice_code(decoder, 0, rice);       // reads it
//   const int bits = rice_length(value, rice);
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

namespace llmcodec::vvc {

inline constexpr int kRicePrefixes = 5;
inline constexpr int kMaxRicePrefix = 17;
inline constexpr int kMaxRiceSuffix = 15;

constexpr int floor_log2(unsigned value) {
  return 31 - std::countl_zero(value);
}

// H.266 9.3.3.2, table of cRiceParam by locSumAbs: how many of these the sum reaches.
inline constexpr int kRiceThresholds[] = {7, 14, 28};
// What abs_remainder takes off the sum before: five neighbours of 4 (baseLevel) each.
// dec_abs_level takes nothing.
inline constexpr int kRemainderSum = 20;

constexpr int rice_parameter(int sum) {
  return sum < kRiceThresholds[0] ? 0 : sum < kRiceThresholds[1] ? 1 : sum < kRiceThresholds[2] ? 2 : 3;
}

// Where a zero stands among the code words of dec_abs_level (ZeroPos).
constexpr int zero_position(int state, int rice) {
  return (state < 2 ? 1 : 2) << rice;
}

// Number of ones that the code of `value` starts with.
constexpr int rice_prefix(int value, int rice) {
  const int plain = value >> rice;
  if (plain <= kRicePrefixes) return plain;
  return std::min(kRicePrefixes + floor_log2(static_cast<unsigned>(plain - kRicePrefixes + 1)),
                  kMaxRicePrefix);
}

constexpr int rice_suffix_bits(int prefix, int rice) {
  if (prefix == kMaxRicePrefix) return kMaxRiceSuffix;
  return rice + std::max(prefix - kRicePrefixes, 0);
}

// The least value whose code has this prefix; the suffix counts on from there.
constexpr int rice_base(int prefix, int rice) {
  if (prefix <= kRicePrefixes) return prefix << rice;
  return ((1 << (prefix - kRicePrefixes)) + kRicePrefixes - 1) << rice;
}

template <class Bins>
int rice_code(Bins& bins, int value, int rice) {
  const int prefix = bins.unary_bypass(rice_prefix(value, rice), kMaxRicePrefix);
  const int suffix_bits = rice_suffix_bits(prefix, rice), base = rice_base(prefix, rice);
  const uint32_t suffix = static_cast<uint32_t>(value - base) & ((1u << suffix_bits) - 1);
  return base + static_cast<int>(bins.bypass(suffix, suffix_bits));
}

// Number of bins of rice_code(value, rice).
constexpr int rice_length(int value, int rice) {
  const int prefix = rice_prefix(value, rice);
  return prefix + static_cast<int>(prefix < kMaxRicePrefix) + rice_suffix_bits(prefix, rice);
}

}  // namespace llmcodec::vvc
