// SPDX-License-Identifier: BSD-3-Clause
// 8-bit logarithmic codes of positive numbers, for scales. Normative (docs/format.md 2.1), P = per_octave:
//   value(0)    = 0                           (a dead row or column: its weights are exactly 0)
//   value(code) = (base * T[(code mod P) * (32 / P)]) * 2^(code div P)     code 1..255
// where T[k] is the float32 nearest to 2^(k/32) (kLogCodeTable): one float32 multiplication, then an exact
// one. fit_log_code() chooses a power of two as base, so that the first is exact too.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace llmcodec {

extern const std::array<float, 32> kLogCodeTable;

struct LogCode {
  float base = 1;  // > 0 and finite
  // 1, 2, 4, 8, 16 or 32. The relative error of a coded value is at most 2^(1 / (2 P)) - 1: 2.2 % at 16,
  // 4.4 % at 8.
  uint32_t per_octave = 16;
  // Whether every code has a finite positive value (a decoder must check).
  bool is_valid() const;
  float decode(uint8_t code) const;
  // The code whose value is nearest on the logarithmic scale, clamped to 1..255; 0 for a value <= 0.
  uint8_t encode(double value) const;
  bool operator==(const LogCode&) const = default;
};

// Parameters with which all positive `values` can be coded: `per_octave` as asked, halved (down to 2) while
// the range from the smallest to the largest does not fit into 255 codes (15.9 octaves at 16). base is a
// power of two. Where even 2 is not enough, the largest values fit and the smallest share code 1.
LogCode fit_log_code(std::span<const double> values, uint32_t per_octave);

std::vector<uint8_t> encode_all(const LogCode& code, std::span<const double> values);
std::vector<float> decode_all(const LogCode& code, std::span<const uint8_t> codes);

}  // namespace llmcodec
