// SPDX-License-Identifier: BSD-3-Clause
// Blocks whose codes are indices into codebooks (gguf_grids.h).
#include <bit>

#include "tensor/gguf_block_decoders.h"
#include "tensor/gguf_grids.h"

namespace llmcodec {
namespace {

// The levels of the IQ4 types.
constexpr std::array<float, 16> kIq4Levels = {-127, -104, -83, -65, -49, -35, -22, -10,
                                              1,    13,   25,  38,  53,  69,  89,  113};

// Eight signs stored as seven bits: an even number of them is negative.
uint8_t eight_signs(uint32_t bits) {
  const uint32_t seven = bits & 127;
  return static_cast<uint8_t>(seven | (static_cast<uint32_t>(std::popcount(seven)) & 1) << 7);
}

float sign(uint8_t signs, uint32_t j) {
  return (signs >> j & 1) != 0 ? -1.0f : 1.0f;
}

// Eight weights of an entry of the IQ2 grids.
void put_iq2(float step, uint16_t entry, uint8_t signs, float* out) {
  for (uint32_t j = 0; j < 8; ++j) out[j] = step * kIq2Levels[entry >> (2 * j) & 3] * sign(signs, j);
}

// Eight weights of two entries of the IQ3 grids.
void put_iq3(float step, const std::array<float, 8>& levels, std::array<uint16_t, 2> entries, uint8_t signs,
             float* out) {
  for (uint32_t j = 0; j < 8; ++j)
    out[j] = step * levels[entries[j / 4] >> (3 * (j % 4)) & 7] * sign(signs, j);
}

// Eight weights of an entry of the IQ1 grid, all moved up or down.
void put_iq1(float step, uint16_t entry, bool down, float* out) {
  const float delta = down ? -0.125f : 0.125f;
  for (uint32_t j = 0; j < 8; ++j) out[j] = step * (kIq1Levels[entry >> (2 * j) & 3] + delta);
}

// Nibble s of a list, the low half of a byte first.
float scale_nibble(const uint8_t* nibbles, uint32_t s) {
  return static_cast<float>(nibbles[s / 2] >> (s % 2 * 4) & 15);
}

}  // namespace

// Block: d, then for each 32 weights four indices and a word: four times seven signs, and above them the scale.
void iq2_xxs(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  for (uint32_t g = 0; g < 32; ++g) {
    const uint8_t* group = block + 2 + g / 4 * 8;
    const auto word = read_number<uint32_t>(group + 4);
    const float step = d * (0.5f + static_cast<float>(word >> 28)) * 0.25f;
    put_iq2(step, kIq2XxsGrid[group[g % 4]], eight_signs(word >> (g % 4 * 7)), out + g * 8);
  }
}

// Block: d, 32 words of a 9-bit index and seven signs, 16 nibbles of scales.
void iq2_xs(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  for (uint32_t g = 0; g < 32; ++g) {
    const auto word = read_number<uint16_t>(block + 2 + g * 2);
    const float step = d * (0.5f + scale_nibble(block + 66, g / 2)) * 0.25f;
    put_iq2(step, kIq2XsGrid[word & 511], eight_signs(word >> 9), out + g * 8);
  }
}

// Block: d, 32 bytes of indices, 32 of signs, 8 of the indices' upper bit pairs, 16 nibbles of scales.
void iq2_s(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  for (uint32_t g = 0; g < 32; ++g) {
    const uint32_t index = block[2 + g] | (block[66 + g / 4] >> (g % 4 * 2) & 3u) << 8;
    const float step = d * (0.5f + scale_nibble(block + 74, g / 2)) * 0.25f;
    put_iq2(step, kIq2SGrid[index], block[34 + g], out + g * 8);
  }
}

// Block: d, 64 indices, and for each 32 weights a word as in IQ2_XXS.
void iq3_xxs(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  for (uint32_t g = 0; g < 32; ++g) {
    const uint8_t* indices = block + 2 + g * 2;
    const auto word = read_number<uint32_t>(block + 66 + g / 4 * 4);
    const float step = d * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
    put_iq3(step, kIq3XxsLevels, {kIq3XxsGrid[indices[0]], kIq3XxsGrid[indices[1]]},
            eight_signs(word >> (g % 4 * 7)), out + g * 8);
  }
}

// Block: d, 64 bytes of indices, 64 ninth bits of them, 32 bytes of signs, 8 nibbles of scales.
void iq3_s(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  for (uint32_t g = 0; g < 32; ++g) {
    const uint32_t ninth_bits = block[66 + g / 4] >> (g % 4 * 2);
    const uint32_t first = block[2 + g * 2] | (ninth_bits & 1) << 8;
    const uint32_t second = block[3 + g * 2] | (ninth_bits >> 1 & 1) << 8;
    const float step = d * (1 + 2 * scale_nibble(block + 106, g / 4));
    put_iq3(step, kIq3SLevels, {kIq3SGrid[first], kIq3SGrid[second]}, block[74 + g], out + g * 8);
  }
}

// Block: d, 32 bytes of indices, and for each 32 weights a word: four times three upper bits of indices, the scale, and
// which way the weights are moved.
void iq1_s(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  for (uint32_t g = 0; g < 32; ++g) {
    const auto word = read_number<uint16_t>(block + 34 + g / 4 * 2);
    const uint32_t index = block[2 + g] | (word >> (g % 4 * 3) & 7u) << 8;
    const float step = d * static_cast<float>(2 * (word >> 12 & 7) + 1);
    put_iq1(step, kIq1Grid[index], (word & 0x8000) != 0, out + g * 8);
  }
}

// Block: 32 bytes of indices, 32 nibbles of three upper bits and the way they are moved, four words: each has four
// 3-bit scales of 16 weights and, on top, a nibble of d.
void iq1_m(const uint8_t* block, float* out) {
  const uint8_t* words = block + 48;
  uint32_t d_code = 0;
  for (uint32_t i = 0; i < 4; ++i) d_code |= (read_number<uint16_t>(words + i * 2) >> 12 & 15u) << (4 * i);
  const float d = F16::decode(d_code);
  for (uint32_t g = 0; g < 32; ++g) {
    const uint32_t upper = block[32 + g / 2] >> (g % 2 * 4) & 15u;
    const uint32_t scale = read_number<uint16_t>(words + g / 8 * 2) >> (g / 2 % 4 * 3) & 7;
    put_iq1(d * static_cast<float>(2 * scale + 1), kIq1Grid[block[g] | (upper & 7) << 8], (upper & 8) != 0,
            out + g * 8);
  }
}

// 32 weights. Block: d, 16 bytes of nibbles.
void iq4_nl(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  for (uint32_t j = 0; j < 32; ++j) out[j] = d * kIq4Levels[nibble(block + 2, j)];
}

// Block: d, 8 upper bit pairs and 8 nibbles of the scales of 32 weights, 128 bytes of nibbles.
void iq4_xs(const uint8_t* block, float* out) {
  const float d = read_f16(block);
  const auto upper = read_number<uint16_t>(block + 2);
  for (uint32_t s = 0; s < 8; ++s) {
    const float scale = scale_nibble(block + 4, s) + static_cast<float>((upper >> (2 * s) & 3) << 4);
    const float step = d * (scale - 32);
    for (uint32_t j = 0; j < 32; ++j) out[s * 32 + j] = step * kIq4Levels[nibble(block + 8 + s * 16, j)];
  }
}

}  // namespace llmcodec
