// SPDX-License-Identifier: BSD-3-Clause
// IEEE binary16 bits to and from float, round to nearest even; for the zeros of asymmetric scales (quant
// stands below the tensor layer, which converts whole tensors).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

namespace llmcodec {

inline float half_to_float(uint16_t bits) {
  const uint32_t exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
  const float magnitude =
      exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -24)
                    : std::ldexp(static_cast<float>(1024 + mantissa), static_cast<int>(exponent) - 25);
  return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(magnitude));
}

// Finite values beyond the range become the largest finite half: a zero must stay finite.
inline uint16_t half_from_float(float value) {
  const uint16_t sign = static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16 & 0x8000);
  const float magnitude = std::fabs(value);
  if (magnitude == 0) return sign;
  if (!(magnitude < 65520.0f)) return sign | 0x7bff;
  int exponent = 0;
  std::frexp(magnitude, &exponent);                       // magnitude in [2^(e-1), 2^e)
  const int unit = exponent < -13 ? -24 : exponent - 11;  // weight of the last mantissa bit
  const auto steps = static_cast<uint32_t>(std::nearbyint(std::ldexp(magnitude, -unit)));
  // Subnormals: steps < 1024. Normals: steps in [1024, 2048], whose top bit counts into the exponent field.
  const uint32_t field = unit == -24 ? steps : steps + (static_cast<uint32_t>(unit + 24) << 10);
  return static_cast<uint16_t>(sign | field);
}

}  // namespace llmcodec
