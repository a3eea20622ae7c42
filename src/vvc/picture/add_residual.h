// SPDX-License-Identifier: BSD-3-Clause
// Adds the residual of one block to its prediction, in vectors: scaling, inverse transform and sum.
// The result is that of Scaler, inverse_dct() and a loop over the samples, bit for bit.
//
// Example (const Scaler& scaler, const int32_t* levels, MutablePlaneView samples):
//
//   const TransformSize size{.log2_width = 5, .log2_height = 4, .columns = 32, .rows = 16};
//   const bool is_done = add_block_residual(scaler, {size, 10, levels}, samples);    // else the plain way
#pragma once

#include <cstdint>

#include "llmcodec/plane.h"
#include "vvc/picture/scaling.h"
#include "vvc/picture/transform.h"

namespace llmcodec::vvc {

// A block of levels to be scaled and transformed.
struct LevelBlock {
  TransformSize size;
  int bit_depth = 10;  // 8..10
  // Raster, stride = width, -32768..32767; zero outside size's columns and rows.
  const int32_t* levels = nullptr;
};

// Adds the residual to `samples` (the block), clipped to [0, 2^bit_depth - 1]. False, and nothing is done,
// where there are no vectors for it: on other processors than x86, and for sides of 4.
bool add_block_residual(const Scaler& scaler, const LevelBlock& block, MutablePlaneView samples);

}  // namespace llmcodec::vvc
