// SPDX-License-Identifier: BSD-3-Clause
// Scaling, inverse transform and sum of one block, in vectors: what Scaler, inverse_dct() and a loop over the
// samples give, bit for bit.
//
//   if (!add_block_residual(scaler, {.log2_width = 5, .log2_height = 4, .columns = 32, .rows = 16, ...},
//   samples)) ... the plain way
#pragma once

#include <cstdint>

#include "llmcodec/plane.h"
#include "vvc/picture/scaling.h"
#include "vvc/picture/transform.h"

namespace llmcodec::vvc {

struct LevelBlock {
  TransformSize size;
  int bit_depth = 10;  // 8..10
  const int32_t* levels =
      nullptr;  // raster, stride = width, -32768..32767; zero outside size's columns, rows
};

// Adds the residual to `samples` (the block), clipped to [0, 2^bit_depth - 1]. False, and nothing done, where
// there are no vectors for it: without x86, or sides of 4.
bool add_block_residual(const Scaler& scaler, const LevelBlock& block, MutablePlaneView samples);

}  // namespace llmcodec::vvc
