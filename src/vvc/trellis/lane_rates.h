// SPDX-License-Identifier: BSD-3-Clause
// The prices of trellis_rates.h as trellis_lanes.cc looks them up:
// sixteen bytes to a table, for byte shuffles.
//
// Example (const ContextSet& contexts):
//
//   const LaneRates lanes = lane_rates(trellis_rates(contexts, 5, 5));
//   use(lanes.tu_coded[1]);                                    // the price of tu_y_coded_flag = 1
#pragma once

#include <cstdint>

#include "vvc/trellis/trellis_rates.h"

namespace llmcodec::vvc {

// In 2^-8 bit, like TrellisRates.
struct LaneRates {
  // sig_coeff_flag by state set and ScanEntry::sig_offset / 4: by increment four prices of 0, then four of 1.
  alignas(16) uint16_t sig[3][3][8];
  // Magnitude flags and sign by ScanEntry::greater_offset / 5, low bytes and high bytes. Entry of an even
  // level: increment * 2 + category (2, above); of an odd one: increment * 3 + category (1, 3, above).
  alignas(16) uint8_t even[4][2][16];
  alignas(16) uint8_t odd[4][2][16];
  uint16_t start_even[2], start_odd[3];  // of the block's last level, by category
  uint16_t last_x[32], last_y[32];
  uint16_t sb_coded[2][2];
  uint16_t tu_coded[2];
};

LaneRates lane_rates(const TrellisRates& rates);

}  // namespace llmcodec::vvc
