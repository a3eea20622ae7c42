// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/gguf_blocks.h"

#include <bit>
#include <cstdint>
#include <cstring>

#include "base/error.h"
#include "tensor/gguf_block_decoders.h"

namespace llmcodec {
namespace {

constexpr uint32_t kSmall = 32;   // weights of most blocks with one scale
constexpr uint32_t kSuper = 256;  // weights of a super-block, which has scales of its sub-blocks

// Block: d, 16 bytes of nibbles.
void q4_0(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  for (uint32_t j = 0; j < kSmall; ++j) out[j] = static_cast<float>(nibble(block + 2, j) - 8) * d;
}

// Block: d, m, 16 bytes of nibbles.
void q4_1(const uint8_t* block, float* out) {
  const float d = read_f16(block), m = read_f16(block + 2);
  for (uint32_t j = 0; j < kSmall; ++j) out[j] = static_cast<float>(nibble(block + 4, j)) * d + m;
}

// Block: d, 32 fifth bits, 16 bytes of nibbles.
void q5_0(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  const uint32_t high = read_number<uint32_t>(block + 2);
  for (uint32_t j = 0; j < kSmall; ++j) {
    const int q = nibble(block + 6, j) | static_cast<int>(high >> j & 1) << 4;
    out[j] = static_cast<float>(q - 16) * d;
  }
}

// Block: d, m, 32 fifth bits, 16 bytes of nibbles.
void q5_1(const uint8_t* block, float* out) {
  const float d = read_f16(block), m = read_f16(block + 2);
  const uint32_t high = read_number<uint32_t>(block + 4);
  for (uint32_t j = 0; j < kSmall; ++j) {
    const int q = nibble(block + 8, j) | static_cast<int>(high >> j & 1) << 4;
    out[j] = static_cast<float>(q) * d + m;
  }
}

// Block: d, 32 signed bytes.
void q8_0(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  for (uint32_t j = 0; j < kSmall; ++j) out[j] = static_cast<float>(static_cast<int8_t>(block[2 + j])) * d;
}

// Block: 16 bytes of a scale (low half) and a minimum, 64 of bit pairs, d, dmin. Each half of the block has four bit
// pairs in 32 bytes; sub-blocks are 16 bytes of one bit pair.
void q2_k(const uint8_t* block, float* out) {
  const float d = read_f16(block + 80), dmin = read_f16(block + 82);
  for (size_t s = 0; s < 16; ++s) {
    const float step = d * static_cast<float>(block[s] & 15),
                shift = dmin * static_cast<float>(block[s] >> 4);
    const uint8_t* pairs = block + 16 + s / 8 * 32 + s % 2 * 16;
    for (uint32_t j = 0; j < 16; ++j)
      out[s * 16 + j] = step * static_cast<float>(pairs[j] >> (s / 2 % 4 * 2) & 3) - shift;
  }
}

// Block: 32 bytes of third bits, 64 of bit pairs laid out as in Q2_K, 12 of 6-bit scales, d. The third bits of
// sub-blocks 2 b and 2 b + 1 are bits b; where one is clear, the weight is 4 lower. Scales: nibbles, low halves of
// 8 bytes and then high ones, and above them the bit pairs of 4 bytes.
void q3_k(const uint8_t* block, float* out) {
  const float d = read_f16(block + 108);
  const uint8_t* scales = block + 96;
  for (size_t s = 0; s < 16; ++s) {
    const int scale = (scales[s % 8] >> (s / 8 * 4) & 15) | (scales[8 + s % 4] >> (s / 4 * 2) & 3) << 4;
    const float step = d * static_cast<float>(scale - 32);
    const uint8_t* third_bits = block + s % 2 * 16;
    const uint8_t* pairs = block + 32 + s / 8 * 32 + s % 2 * 16;
    for (uint32_t j = 0; j < 16; ++j) {
      const int q = (pairs[j] >> (s / 2 % 4 * 2) & 3) - ((third_bits[j] >> (s / 2) & 1) != 0 ? 0 : 4);
      out[s * 16 + j] = step * static_cast<float>(q);
    }
  }
}

struct ScaleAndMin {
  float scale, min;
};

// Six-bit scale and minimum of sub-block s: 12 bytes hold the low halves of the first four of each, and the
// last four split between nibbles and the spare upper bits of the first eight bytes.
ScaleAndMin k_scale(const uint8_t* packed, size_t s) {
  if (s < 4) return {static_cast<float>(packed[s] & 63), static_cast<float>(packed[s + 4] & 63)};
  return {static_cast<float>((packed[s + 4] & 15) | (packed[s - 4] >> 6) << 4),
          static_cast<float>((packed[s + 4] >> 4) | (packed[s] >> 6) << 4)};
}

// Block: d, dmin, 12 bytes of scales, 128 of nibbles: 32 bytes hold two sub-blocks, in low and high halves.
void q4_k(const uint8_t* block, float* out) {
  const float d = read_f16(block), dmin = read_f16(block + 2);
  for (size_t s = 0; s < 8; ++s) {
    const auto [scale, min] = k_scale(block + 4, s);
    const float step = d * scale, shift = dmin * min;
    const uint8_t* nibbles = block + 16 + s / 2 * 32;
    for (uint32_t j = 0; j < 32; ++j)
      out[s * 32 + j] = step * static_cast<float>(nibbles[j] >> (s % 2 * 4) & 15) - shift;
  }
}

// As Q4_K with 32 bytes of fifth bits between scales and nibbles: bit s of byte j belongs to weight
// j of sub-block s.
void q5_k(const uint8_t* block, float* out) {
  const float d = read_f16(block), dmin = read_f16(block + 2);
  const uint8_t* high = block + 16;
  for (size_t s = 0; s < 8; ++s) {
    const auto [scale, min] = k_scale(block + 4, s);
    const float step = d * scale, shift = dmin * min;
    const uint8_t* nibbles = block + 48 + s / 2 * 32;
    for (uint32_t j = 0; j < 32; ++j) {
      const int q = (nibbles[j] >> (s % 2 * 4) & 15) | (high[j] >> s & 1) << 4;
      out[s * 32 + j] = step * static_cast<float>(q) - shift;
    }
  }
}

// Block: 128 bytes of low nibbles, 64 of upper bit pairs, 16 signed scales, d. Each half of the block has
// four groups of 32 weights: groups 0 and 1 take low nibbles, 2 and 3 high ones; group g takes bit pair g.
void q6_k(const uint8_t* block, float* out) {
  const float d = read_f16(block + 208);
  for (size_t group = 0; group < 8; ++group) {
    const size_t half = group / 4, g = group % 4;
    const uint8_t* low = block + half * 64 + g % 2 * 32;
    const uint8_t* high = block + 128 + half * 32;
    const uint8_t* scales = block + 192 + group * 2;
    for (uint32_t j = 0; j < 32; ++j) {
      const int q = (low[j] >> (g / 2 * 4) & 15) | (high[j] >> (2 * g) & 3) << 4;
      const float scale = static_cast<float>(static_cast<int8_t>(scales[j / 16]));
      out[group * 32 + j] = d * scale * static_cast<float>(q - 32);
    }
  }
}

template <uint32_t weights, void (*dequantize)(const uint8_t*, float*)>
void each_block(Dtype dtype, std::span<const std::byte> bytes, std::span<float> out) {
  const auto* block = reinterpret_cast<const uint8_t*>(bytes.data());
  const uint32_t block_bytes = dtype_info(dtype).block_bytes;
  for (size_t first = 0; first < out.size(); first += weights, block += block_bytes)
    dequantize(block, out.data() + first);
}

// Rounds half away from zero, as roundf(), in a way that vectorises. |value| < 2^23.
int round_away(float value) {
  const int whole = static_cast<int>(value);
  const float rest = value - static_cast<float>(whole);  // exact
  return whole + (rest >= 0.5f) - (rest <= -0.5f);
}

// False if the block cannot be represented.
bool quantize_q8_0_block(const float* x, uint8_t* out) {
  int32_t largest_bits = 0;  // magnitudes compare as integers: one maximum finds NaN and infinity too
  for (uint32_t j = 0; j < kSmall; ++j) {
    const int32_t magnitude = std::bit_cast<int32_t>(x[j]) & 0x7fffffff;
    largest_bits = magnitude > largest_bits ? magnitude : largest_bits;
  }
  const float d = std::bit_cast<float>(largest_bits) / 127.0f;
  const uint16_t code = static_cast<uint16_t>(F16::encode(d));
  if (largest_bits >= 0x7f800000 || code >= F16::kInfinity) return false;
  std::memcpy(out, &code, sizeof(code));
  float inverse = d != 0 ? 1.0f / d : 0.0f;
  if (std::bit_cast<int32_t>(inverse) == 0x7f800000)
    inverse = 0;  // a block so small that 1/d overflows: d is 0 in F16 anyway
  for (uint32_t j = 0; j < kSmall; ++j) out[2 + j] = static_cast<uint8_t>(round_away(x[j] * inverse));
  return true;
}

}  // namespace

void dequantize_blocks(Dtype dtype, std::span<const std::byte> bytes, std::span<float> out) {
  switch (dtype) {
    case Dtype::kQ4_0:
      return each_block<kSmall, q4_0>(dtype, bytes, out);
    case Dtype::kQ4_1:
      return each_block<kSmall, q4_1>(dtype, bytes, out);
    case Dtype::kQ5_0:
      return each_block<kSmall, q5_0>(dtype, bytes, out);
    case Dtype::kQ5_1:
      return each_block<kSmall, q5_1>(dtype, bytes, out);
    case Dtype::kQ8_0:
      return each_block<kSmall, q8_0>(dtype, bytes, out);
    case Dtype::kQ1_0:
      return each_block<128, q1_0>(dtype, bytes, out);
    case Dtype::kQ2_0:
      return each_block<64, q2_0>(dtype, bytes, out);
    case Dtype::kQ2_K:
      return each_block<kSuper, q2_k>(dtype, bytes, out);
    case Dtype::kQ3_K:
      return each_block<kSuper, q3_k>(dtype, bytes, out);
    case Dtype::kQ4_K:
      return each_block<kSuper, q4_k>(dtype, bytes, out);
    case Dtype::kQ5_K:
      return each_block<kSuper, q5_k>(dtype, bytes, out);
    case Dtype::kQ6_K:
      return each_block<kSuper, q6_k>(dtype, bytes, out);
    case Dtype::kIQ1_S:
      return each_block<kSuper, iq1_s>(dtype, bytes, out);
    case Dtype::kIQ1_M:
      return each_block<kSuper, iq1_m>(dtype, bytes, out);
    case Dtype::kIQ2_XXS:
      return each_block<kSuper, iq2_xxs>(dtype, bytes, out);
    case Dtype::kIQ2_XS:
      return each_block<kSuper, iq2_xs>(dtype, bytes, out);
    case Dtype::kIQ2_S:
      return each_block<kSuper, iq2_s>(dtype, bytes, out);
    case Dtype::kIQ3_XXS:
      return each_block<kSuper, iq3_xxs>(dtype, bytes, out);
    case Dtype::kIQ3_S:
      return each_block<kSuper, iq3_s>(dtype, bytes, out);
    case Dtype::kIQ4_NL:
      return each_block<kSmall, iq4_nl>(dtype, bytes, out);
    case Dtype::kIQ4_XS:
      return each_block<kSuper, iq4_xs>(dtype, bytes, out);
    case Dtype::kTQ1_0:
      return each_block<kSuper, tq1_0>(dtype, bytes, out);
    case Dtype::kTQ2_0:
      return each_block<kSuper, tq2_0>(dtype, bytes, out);
    case Dtype::kMXFP4:
      return each_block<kSmall, mxfp4>(dtype, bytes, out);
    case Dtype::kNVFP4:
      return each_block<64, nvfp4>(dtype, bytes, out);
    default:
      return;
  }
}

Status quantize_q8_0(std::span<const float> values, std::span<std::byte> out) {
  auto* block = reinterpret_cast<uint8_t*>(out.data());
  for (size_t first = 0; first < values.size(); first += kSmall, block += 34) {
    if (!quantize_q8_0_block(values.data() + first, block))
      return error(ErrorKind::kInvalidArgument, "values {} to {} are not finite or too large for Q8_0", first,
                   first + kSmall - 1);
  }
  return Status::ok();
}

}  // namespace llmcodec
