// SPDX-License-Identifier: BSD-3-Clause
// From samples and their prediction to what the trellis takes:
// coefficients in scan order and 2^-8 of the union step.
//
// Example (PlaneView source_block, PlaneView prediction):
//
//   BlockCoefficients coefficients(10);
//   coefficients.set_qp(30);
//   int32_t out[32 * 32];                                            // out[n] at scan position n
//   coefficients.transform(source_block, prediction, out);
//
// Deterministic: the same on every machine.
#pragma once

#include <cstdint>

#include "llmcodec/plane.h"

namespace llmcodec::vvc {

class BlockCoefficients {
 public:
  explicit BlockCoefficients(int bit_depth) : bit_depth_(bit_depth) {}

  void set_qp(int qp);
  int qp() const { return qp_; }

  // Of source minus prediction, views of one size with sides 4, 8, 16 or 32. `out` has room for all of them.
  void transform(PlaneView source, PlaneView prediction, int32_t* out);
  // The coefficient at position 0 of a block whose residual has this sum.
  int32_t mean_coefficient(int64_t residual_sum, int log2_width, int log2_height) const;

 private:
  int bit_depth_;
  int qp_ = INT32_MIN;
  float to_steps_[4][4];  // by log2 of width and height, less 2
  alignas(32) int16_t residual_[32 * 32];
  alignas(32) float transformed_[32 * 32];
};

}  // namespace llmcodec::vvc
