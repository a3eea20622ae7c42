// SPDX-License-Identifier: BSD-3-Clause
// Floating-point types narrower than F32, by parameters: one decoder and one encoder for F16 and the F8
// family, branch-free integer code that compilers vectorise. Exact both ways: encoding rounds to
// nearest, ties to even.
//   value = (-1)^s * 2^(e - bias) * (1 + m / 2^mantissa_bits),   e = 0: subnormals
#pragma once

#include <bit>
#include <cstdint>

namespace llmcodec {

enum class SpecialCodes {
  kIeee,    // largest exponent: infinity (mantissa 0) and NaN
  kFinite,  // all ones: NaN; no infinity (F8_E4M3 "fn")
  kFnuz,    // sign bit alone: NaN; no infinity, no -0
};

template <uint32_t exponent_bits, uint32_t mantissa_bits, uint32_t bias, SpecialCodes special>
struct SmallFloat {
  static constexpr uint32_t kSign = 1u << (exponent_bits + mantissa_bits);
  static constexpr uint32_t kMagnitude = kSign - 1;
  static constexpr uint32_t kShift = 23 - mantissa_bits;
  static constexpr uint32_t kInfinity = kMagnitude & ~((1u << mantissa_bits) - 1);  // kIeee only
  static constexpr uint32_t kLargest = special == SpecialCodes::kIeee     ? kInfinity - 1
                                       : special == SpecialCodes::kFinite ? kMagnitude - 1
                                                                          : kMagnitude;
  static constexpr uint32_t kRebias = (127 - bias) << 23;

  static float decode(uint32_t code) {
    const uint32_t magnitude = code & kMagnitude;
    const uint32_t sign = (code & kSign) << (31 - exponent_bits - mantissa_bits);
    const uint32_t wide = magnitude << kShift;
    // Subnormals: give them the exponent of the smallest normal number, then take its
    // implicit one away again.
    constexpr uint32_t kSmallestNormal = kRebias + (1u << 23);
    const float subnormal =
        std::bit_cast<float>(wide + kSmallestNormal) - std::bit_cast<float>(kSmallestNormal);
    uint32_t bits = magnitude < (1u << mantissa_bits) ? std::bit_cast<uint32_t>(subnormal) : wide + kRebias;
    if constexpr (special == SpecialCodes::kIeee) bits = magnitude >= kInfinity ? wide | 0x7f800000u : bits;
    if constexpr (special == SpecialCodes::kFinite) bits = magnitude == kMagnitude ? 0x7fc00000u : bits;
    if constexpr (special == SpecialCodes::kFnuz) bits = code == kSign ? 0x7fc00000u : bits;
    return std::bit_cast<float>(sign | bits);
  }

  static uint32_t encode(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint32_t wide = bits & 0x7fffffffu;
    const uint32_t sign = (bits >> 31) << (exponent_bits + mantissa_bits);
    constexpr uint32_t kSmallestNormal = kRebias + (1u << 23);
    // A power of two whose unit in the last place is the smallest subnormal: the addition rounds.
    constexpr uint32_t kRounder = (127 + 1 - bias - mantissa_bits + 23) << 23;
    const float sum =
        std::bit_cast<float>(wide < kSmallestNormal ? wide : 0) + std::bit_cast<float>(kRounder);
    const uint32_t subnormal = std::bit_cast<uint32_t>(sum) - kRounder;
    const uint32_t normal = (wide - kRebias + ((1u << (kShift - 1)) - 1) + ((wide >> kShift) & 1)) >> kShift;
    const uint32_t magnitude = wide < kSmallestNormal ? subnormal : normal;
    return finish(sign, wide, magnitude);
  }

 private:
  // Range and special values; `magnitude` is the rounded code of the F32 magnitude `wide`.
  static uint32_t finish(uint32_t sign, uint32_t wide, uint32_t magnitude) {
    const bool nan = wide > 0x7f800000u;
    if constexpr (special == SpecialCodes::kIeee) {
      magnitude = magnitude > kInfinity ? kInfinity : magnitude;
      // The payload is kept; one that would vanish becomes the quiet bit, or the NaN
      // would turn into infinity.
      const uint32_t payload = (wide >> kShift) & ((1u << mantissa_bits) - 1);
      const uint32_t nan_code = kInfinity | (payload != 0 ? payload : 1u << (mantissa_bits - 1));
      return sign | (nan ? nan_code : magnitude);
    }
    const bool lost = wide >= 0x7f800000u;  // infinity and NaN
    magnitude = magnitude > kLargest ? kLargest : magnitude;
    if constexpr (special == SpecialCodes::kFinite) return sign | (lost ? kMagnitude : magnitude);
    return lost ? kSign : magnitude == 0 ? 0 : sign | magnitude;
  }
};

using F16 = SmallFloat<5, 10, 15, SpecialCodes::kIeee>;
using F8E4M3 = SmallFloat<4, 3, 7, SpecialCodes::kFinite>;
using F8E5M2 = SmallFloat<5, 2, 15, SpecialCodes::kIeee>;
using F8E4M3Fnuz = SmallFloat<4, 3, 8, SpecialCodes::kFnuz>;
using F8E5M2Fnuz = SmallFloat<5, 2, 16, SpecialCodes::kFnuz>;

// The upper half of an F32: same exponents, so only the rounding is left.
struct Bf16 {
  static float decode(uint32_t code) { return std::bit_cast<float>(code << 16); }
  static uint32_t encode(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    const uint32_t nan_code = (bits >> 16) | ((bits & 0x7f0000u) != 0 ? 0 : 0x40);
    return (bits & 0x7fffffffu) > 0x7f800000u ? nan_code : rounded;
  }
};

}  // namespace llmcodec
