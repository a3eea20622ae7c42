// SPDX-License-Identifier: BSD-3-Clause
// The kernel of BatchTrellis: the search of trellis.cc for 32 blocks at once, one in each lane of 16-bit
// vectors.
//
// Everything here is shared by the kernel's versions for different instruction sets and by the code that
// calls it; the vectors themselves are in trellis_lanes.cc. Whatever the vector length, lanes never see each
// other: the same input gives the same levels on every machine.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vvc/residual/residual_syntax.h"
#include "vvc/trellis/trellis_rates.h"

namespace llmcodec::vvc {

inline constexpr int kTrellisLanes = 32;

// Prices laid out for byte shuffles; in 2^-8 bit, like TrellisRates. Sixteen bytes each.
struct LaneRates {
  // sig_coeff_flag by state set and ScanEntry::sig_offset (8, 4, 0): four prices of 0, four of 1, 16 bits
  // each.
  alignas(16) uint16_t sig[3][3][8];
  // Magnitude flags and sign by ScanEntry::greater_offset (16, 11, 6, 1), low bytes and high bytes; entry
  // ctxInc * 2 + category for even levels (2, above), ctxInc * 3 + category for odd ones (1, 3, above).
  alignas(16) uint8_t even[4][2][16];
  alignas(16) uint8_t odd[4][2][16];
  uint16_t start_even[2], start_odd[3];  // of the block's last level, by category
  uint16_t last_x[32], last_y[32];
  uint16_t sb_coded[2][2];
  uint16_t tu_coded[2];
};

LaneRates lane_rates(const TrellisRates& rates);

// 32 blocks: arrays by [scan position][lane].
struct LaneProblem {
  const LaneRates* rates = nullptr;
  const ScanOrder* scan = nullptr;
  int log2_width = 5, log2_height = 5;
  int count = 0;                // coefficients of each block
  int lanes = kTrellisLanes;    // lanes from here on are not looked at
  uint32_t inverse_lambda = 0;  // 2^16 / lambda, at most 2^20: lambda >= 1/16
  // |coefficient| in 2^-8 steps, at most kMaxLaneMagnitude.
  const uint16_t* magnitudes = nullptr;
  void* work = nullptr;  // lane_work_size() bytes, aligned to 64

  // Results. `levels`: |TransCoeffLevel|. `valid` is 0 for a block whose costs left 16 bits: search it one by
  // one.
  uint16_t* levels = nullptr;
  uint32_t cost[kTrellisLanes];
  uint16_t last[kTrellisLanes];  // of the last level, 0xffff: none
  uint16_t final_state[kTrellisLanes];
  uint16_t valid[kTrellisLanes];
};

// Candidates up to here have levels below 128.
inline constexpr int kMaxLaneMagnitude = 65000;

size_t lane_work_size();

// By the best instruction set of this machine (or the one that Highway was told to use).
void quantize_lanes(LaneProblem& problem);

}  // namespace llmcodec::vvc
