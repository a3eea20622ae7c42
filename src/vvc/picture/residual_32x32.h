// SPDX-License-Identifier: BSD-3-Clause
// Levels of a 32x32 block to the residual that every decoder adds: scaling and inverse transform in one, for
// the encoder that checks each block. The same numbers as Scaler and inverse_dct().
//
// Example (const Scaler& scaler, const int32_t* levels, int last):
//
//   const Residual32x32 residual_of(scaler, 10);
//   alignas(64) int16_t residual[32 * 32];
//   residual_of(levels, last, residual);      // levels[n] at scan position n
#pragma once

#include <array>
#include <cstdint>

#include "vvc/picture/scaling.h"

namespace llmcodec::vvc {

class Residual32x32 {
 public:
  Residual32x32(const Scaler& scaler, int bit_depth);

  // levels[0..last] (last -1: none) are TransCoeffLevel. `residual`: 32x32, row-major, aligned to 64.
  void operator()(const int32_t* levels, int last, int16_t* residual) const;

 private:
  static constexpr int kTable = 128;
  Scaler scaler_;
  int bit_depth_;
  std::array<int16_t, 2 * kTable> scaled_;  // of small levels, by level + kTable
};

}  // namespace llmcodec::vvc
