// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/picture/scaling.h"

namespace llmcodec::vvc {

Scaler::Scaler(int qp_prime, int bit_depth, int log2_width, int log2_height) {
  // levelScale of 8.7.3: one sixth of an octave apart;
  // the second row makes up for the odd power of two in the size.
  constexpr int kLevelScale[2][6] = {{40, 45, 51, 57, 64, 72}, {57, 64, 72, 80, 90, 102}};
  constexpr int kFlatScalingFactor = 16;   // m
  constexpr int kLog2TransformRange = 15;  // log2TransformRange
  const int log2_sum = log2_width + log2_height;
  const int rect_non_ts = log2_sum & 1;  // rectNonTsFlag
  const int qp = qp_prime + 1;  // dependent quantisation: steps are doubled, less a sixth of an octave
  factor_ = (int64_t{kFlatScalingFactor} * kLevelScale[rect_non_ts][qp % 6]) << (qp / 6);
  shift_ = bit_depth + rect_non_ts + log2_sum / 2 + 10 - kLog2TransformRange + 1;
  offset_ = int64_t{1} << (shift_ - 1);
}

}  // namespace llmcodec::vvc
