// SPDX-License-Identifier: BSD-3-Clause
// What the files that decode GGUF's blocks share. A decoder writes the weights of one block; the layout of the block
// stands beside its definition.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "tensor/small_float.h"

namespace llmcodec {

template <class T>
T read_number(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof(value));
  return value;
}

inline float read_f16(const uint8_t* p) {
  return F16::decode(read_number<uint16_t>(p));
}

// Nibble j of 16 bytes: the low halves are weights 0..15, the high halves 16..31.
inline uint8_t nibble(const uint8_t* nibbles, uint32_t j) {
  return j < 16 ? nibbles[j] & 15 : nibbles[j - 16] >> 4;
}

// gguf_iq_blocks.cc: codebooks of several weights, and of one.
void iq1_s(const uint8_t* block, float* out);
void iq1_m(const uint8_t* block, float* out);
void iq2_xxs(const uint8_t* block, float* out);
void iq2_xs(const uint8_t* block, float* out);
void iq2_s(const uint8_t* block, float* out);
void iq3_xxs(const uint8_t* block, float* out);
void iq3_s(const uint8_t* block, float* out);
void iq4_nl(const uint8_t* block, float* out);
void iq4_xs(const uint8_t* block, float* out);

// gguf_coarse_blocks.cc: one to four bits with a plain scale.
void q1_0(const uint8_t* block, float* out);
void q2_0(const uint8_t* block, float* out);
void tq1_0(const uint8_t* block, float* out);
void tq2_0(const uint8_t* block, float* out);
void mxfp4(const uint8_t* block, float* out);
void nvfp4(const uint8_t* block, float* out);

}  // namespace llmcodec
