// SPDX-License-Identifier: BSD-3-Clause
// residual_coding() for writing, 32x32 blocks of several streams at once: the mirror of read_32x32_lanes.h.
//
//   LaneOutput blocks[16] = {{.bins = &encoder, .levels = levels, .last = last}, ...};   // of different
//   encoders encode_residuals_in_scan_order(blocks);
//
// Every encoder is left as by encode_residual_in_scan_order(), which is what is called without vectors or for
// too few blocks to gain.
#pragma once

#include <cstdint>
#include <span>

#include "vvc/cabac/cabac_encoder.h"

namespace llmcodec::vvc {

struct LaneOutput {
  CabacEncoder* bins = nullptr;
  const int32_t* levels = nullptr;  // TransCoeffLevel at scan positions 0..last, all reachable by the states
  int last = 0;                     // scan position of the last level that is not 0
};

void encode_residuals_in_scan_order(std::span<const LaneOutput> blocks);

}  // namespace llmcodec::vvc
