// SPDX-License-Identifier: BSD-3-Clause
// residual_coding() for writing only, in about half the cycles: the same bits as the description in
// residual_syntax.h, which stays the definition (a test compares the two).
//
// Example (CabacEncoder& encoder):
//
//   const int32_t levels[] = {2, 0, -4};                       // levels[n] at scan position n
//   encode_residual_in_scan_order(encoder, 5, 5, levels, 2);   // 2: the last level that is not 0
#pragma once

#include <cstdint>

#include "vvc/cabac/cabac_encoder.h"

namespace llmcodec::vvc {

// Writes one block under dependent quantisation. levels[0..last] are TransCoeffLevel by scan position,
// reachable, levels[last] not zero; `last` below the block's number of coefficients.
void encode_residual_in_scan_order(CabacEncoder& bins, int log2_width, int log2_height, const int32_t* levels,
                                   int last);

}  // namespace llmcodec::vvc
