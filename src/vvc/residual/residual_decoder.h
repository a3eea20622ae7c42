// SPDX-License-Identifier: BSD-3-Clause
// residual_coding() for reading only, in about half the cycles: the same result as the description in
// residual_syntax.h, which stays the definition (a test compares the two, bin for bin).
//
// Example (CabacDecoder& decoder):
//
//   int32_t raster[1024] = {}, scanned[1024] = {};
//   decode_residual(decoder, {.log2_width = 5, .log2_height = 5, .trans_coeff_level = raster});
//   decode_residual_in_scan_order(decoder, 5, 5, scanned);        // scanned[n] at scan position n
#pragma once

#include <cstdint>

#include "vvc/cabac/cabac_decoder.h"
#include "vvc/residual/residual_syntax.h"

namespace llmcodec::vvc {

// As residual_coding(bins, block, 0). Precondition: block.dep_quant.
ResidualInfo decode_residual(CabacDecoder& bins, const TransformBlock& block);

// The same, but levels[n] is the one at scan position n: for callers that need no block.
// All levels must be zero before.
ResidualInfo decode_residual_in_scan_order(CabacDecoder& bins, int log2_width, int log2_height,
                                           int32_t* levels);

}  // namespace llmcodec::vvc
