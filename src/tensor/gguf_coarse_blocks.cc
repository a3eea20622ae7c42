// SPDX-License-Identifier: BSD-3-Clause
// Blocks of two, three or four levels, and of 4-bit floats.
#include <bit>

#include "tensor/gguf_block_decoders.h"

namespace llmcodec {
namespace {

// The 4-bit float E2M1 (a sign, then 0, 0.5, 1, 1.5, 2, 3, 4 or 6), doubled as ggml has it: scales are halved.
constexpr std::array<float, 16> kDoubledE2M1 = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Half of 2^(code - 127). ggml knows no NaN here: code 255 is 2^127.
float half_e8m0(uint8_t code) {
  // The two smallest are subnormal.
  return std::bit_cast<float>(code < 2 ? 0x00200000u << code : (code - 1u) << 23);
}

// Half of an E4M3 without sign. As in ggml the code of its NaN is 0, and the topmost bit is not looked at otherwise.
float half_ue4m3(uint8_t code) {
  if (code == 0x7f) return 0;
  const uint32_t exponent = code >> 3 & 15, mantissa = code & 7;
  if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10f;
  return std::bit_cast<float>((exponent + 127 - 7 - 1) << 23 | mantissa << 20);
}

// A byte holds five digits of base 3 as the fraction byte / 256: times 3 to the power of n its integer part is above
// digit n, which the next multiplication brings out.
float ternary(uint8_t byte, uint32_t n) {
  constexpr std::array<uint8_t, 5> kPowers = {1, 3, 9, 27, 81};
  const auto rest = static_cast<uint8_t>(byte * kPowers[n]);
  return static_cast<float>((rest * 3 >> 8) - 1);
}

}  // namespace

// 128 weights. Block: d, 16 bytes of signs.
void q1_0(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  for (uint32_t j = 0; j < 128; ++j) out[j] = (block[2 + j / 8] >> (j % 8) & 1) != 0 ? d : -d;
}

// 64 weights. Block: d, 16 bytes of four weights each.
void q2_0(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  for (uint32_t j = 0; j < 64; ++j)
    out[j] = static_cast<float>((block[2 + j / 4] >> (j % 4 * 2) & 3) - 1) * d;
}

// Block: 48 bytes of five weights each, 4 bytes of four, d. Digit n of the first 32 bytes are weights 32 n to
// 32 n + 31; then the same with 16 bytes, and with the last 4.
void tq1_0(const uint8_t* block, float* out) {
  const float d = read_f16(block + 52);
  struct Run {
    uint32_t bytes, digits;
  };
  for (const auto [bytes, digits] : {Run{32, 5}, Run{16, 5}, Run{4, 4}}) {
    for (uint32_t n = 0; n < digits; ++n) {
      for (uint32_t j = 0; j < bytes; ++j) *out++ = ternary(block[j], n) * d;
    }
    block += bytes;
  }
}

// Block: two times 32 bytes of four weights each, which lie 32 apart; d.
void tq2_0(const uint8_t* block, float* out) {
  const float d = read_f16(block + 64);
  for (uint32_t j = 0; j < 256; ++j) {
    const uint8_t byte = block[j / 128 * 32 + j % 32];
    out[j] = static_cast<float>((byte >> (j / 32 % 4 * 2) & 3) - 1) * d;
  }
}

// Block: exponent, 16 bytes of nibbles.
void mxfp4(const uint8_t* block, float* out) {
  const float d = half_e8m0(block[0]);
  for (uint32_t j = 0; j < 32; ++j) out[j] = kDoubledE2M1[nibble(block + 1, j)] * d;
}

// Block: the scales of four sub-blocks of 16 weights, then 8 bytes of nibbles for each: low halves first.
void nvfp4(const uint8_t* block, float* out) {
  for (uint32_t j = 0; j < 64; ++j) {
    const uint32_t s = j / 16;
    const uint8_t byte = block[4 + s * 8 + j % 8];
    out[j] = kDoubledE2M1[j % 16 < 8 ? byte & 15 : byte >> 4] * half_ue4m3(block[s]);
  }
}

}  // namespace llmcodec
