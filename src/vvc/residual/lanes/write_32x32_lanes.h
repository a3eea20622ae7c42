// SPDX-License-Identifier: BSD-3-Clause
// residual_coding() for writing, 32x32 blocks of several streams at once: the mirror of read_32x32_lanes.h.
//
// Example (CabacEncoder& encoder_a, CabacEncoder& encoder_b):
//
//   const int32_t levels_a[] = {2, 0, -4}, levels_b[] = {2};
//   const LaneOutput blocks[] = {{.bins = &encoder_a, .levels = levels_a, .last = 2},
//                                {.bins = &encoder_b, .levels = levels_b, .last = 0}};
//   encode_residuals_in_scan_order(blocks);
//
// Every block is of another encoder, which is left as by encode_residual_in_scan_order(). That is what is
// called where there are no vectors, or too few blocks to gain from them.
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
