// SPDX-License-Identifier: BSD-3-Clause
// residual_coding() for reading, 32x32 blocks of several streams at once: each stream is one chain of
// dependent steps, so side by side, one stream in each lane of a vector, they cost little more than one.
//
//   LaneBlock blocks[16] = {{.bins = &decoder, .levels = zeros}, ...};      // all of different decoders
//   decode_residuals_in_scan_order(blocks);                     // levels[n] at scan position n, and the info
//
// The result is that of decode_residual_in_scan_order() for each block, bit for bit, whatever the bytes are
// and however many blocks there are; without vectors, or for too few blocks to gain, it is what is called.
#pragma once

#include <cstdint>
#include <span>

#include "vvc/cabac/cabac_decoder.h"
#include "vvc/residual/residual_syntax.h"

namespace llmcodec::vvc {

struct LaneBlock {
  CabacDecoder* bins = nullptr;
  int32_t* levels = nullptr;  // 1024; must be zero before
  ResidualInfo info;          // result
};

void decode_residuals_in_scan_order(std::span<LaneBlock> blocks);

}  // namespace llmcodec::vvc
