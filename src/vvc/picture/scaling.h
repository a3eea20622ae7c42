// SPDX-License-Identifier: BSD-3-Clause
// Scaling: quantised levels to transform coefficients, with dependent quantisation and flat scaling factors.
//
// Example (int qp, int bit_depth, int32_t level):
//
//   const int qp_prime = qp + 6 * (bit_depth - 8);                 // qp: QpY
//   const Scaler scaler(qp_prime, bit_depth, 5, 5);                // of 32x32 blocks
//   const int32_t coefficient = scaler(level);
//
// A level counts steps of Du = 2^((qp_prime - 9) / 6) samples in the orthonormal
// domain (levels of quantiser Q0 are even, of Q1 odd or zero).
// A coefficient of an N x N block is the orthonormal one times 2^(15 - bit_depth - log2 N).
#pragma once

#include <algorithm>
#include <cstdint>

namespace llmcodec::vvc {

class Scaler {
 public:
  // qp_prime 0..63 + 6 * (bit_depth - 8), bit_depth 8..10, sides 4..64.
  Scaler(int qp_prime, int bit_depth, int log2_width, int log2_height);

  // level: -32768..32767. Result: -32768..32767.
  // H.266 (V3, 09/2023) 8.7.3 Scaling process for transform coefficients, equations for dnc and d
  int32_t operator()(int32_t level) const {
    const int64_t scaled = (level * factor_ + offset_) >> shift_;
    return static_cast<int32_t>(std::clamp<int64_t>(scaled, -32768, 32767));
  }

  // The same in 32 bits: clamp((level * factor() + offset()) >> shift(), -32768, 32767), the level clamped to
  // [-limit(), limit()] before. Further out the result is clipped anyway.
  int32_t factor() const { return static_cast<int32_t>(factor_); }
  int32_t offset() const { return static_cast<int32_t>(offset_); }
  int shift() const { return shift_; }
  int32_t limit() const { return static_cast<int32_t>((int64_t{32769} << shift_) / factor_ + 1); }

 private:
  int64_t factor_;
  int64_t offset_;
  int shift_;
};

}  // namespace llmcodec::vvc
