// SPDX-License-Identifier: BSD-3-Clause
// residual_coding() for reading, 32x32 blocks of several streams at once. Each stream is one chain of
// dependent steps: side by side, one stream in each lane of a vector, they cost little more than one.
//
// Example (CabacDecoder& decoder_a, CabacDecoder& decoder_b):
//
//   int32_t levels_a[1024] = {}, levels_b[1024] = {};
//   LaneBlock blocks[] = {{.bins = &decoder_a, .levels = levels_a},
//                         {.bins = &decoder_b, .levels = levels_b}};
//   decode_residuals_in_scan_order(blocks);
//
// Every block is of another decoder. The result is that of decode_residual_in_scan_order() for each of them,
// bit for bit, whatever the bytes are and however many blocks there are. Where there are no vectors, or too
// few blocks to gain from them, decode_residual_in_scan_order() is what is called.
#pragma once

#include <cstdint>
#include <span>

#include "vvc/cabac/cabac_decoder.h"
#include "vvc/residual/residual_syntax.h"

namespace llmcodec::vvc {

struct LaneBlock {
  CabacDecoder* bins = nullptr;
  int32_t* levels = nullptr;  // 1024, by scan position; must be zero before
  ResidualInfo info = {};     // result
};

void decode_residuals_in_scan_order(std::span<LaneBlock> blocks);

}  // namespace llmcodec::vvc
