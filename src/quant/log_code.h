// SPDX-License-Identifier: BSD-3-Clause
// 8-bit logarithmic codes of positive numbers, for scales. Normative (docs/format.md): with P = per_octave,
//   value(0)    = 0                                            (a dead row or column: its weights are exactly
//   0) value(code) = base * table[(code % P) * (32 / P)] * 2^(code / P)    code 1..255, integer division
// where table[k] is the float32 nearest to 2^(k/32) (kLogCodeTable). base is a power of two, so every product
// is exact and all readers get the same bits: numpy's ldexp(table[...], log2(base) + code // P).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace llmcodec {

extern const std::array<float, 32> kLogCodeTable;

struct LogCode {
  int base_exponent = 0;     // base = 2^base_exponent; -126..120, checked by is_valid()
  uint32_t per_octave = 16;  // 1, 2, 4, 8, 16 or 32; the relative error of a coded value is at most
                             // 2^(1/(2P)) - 1: 2.2 % at 16, 4.4 % at 8
  bool is_valid() const;
  float decode(uint8_t code) const;
  // The code whose value is nearest on the logarithmic scale, clamped to 1..255; 0 for value 0 (or less).
  uint8_t encode(double value) const;
};

// The parameters with which all positive `values` can be coded: `per_octave` as asked, halved while the range
// from the smallest to the largest does not fit into 255 codes (15.9 octaves at 16). Below one code per
// octave (255 octaves) nothing has to be halved: float's whole range fits.
LogCode fit_log_code(std::span<const double> values, uint32_t per_octave);

std::vector<uint8_t> encode_all(const LogCode& code, std::span<const double> values);
std::vector<float> decode_all(const LogCode& code, std::span<const uint8_t> codes);

}  // namespace llmcodec
