// SPDX-License-Identifier: BSD-3-Clause
// The kernel of BatchTrellis: the search of trellis.cc for 32 blocks at once,
// one in each lane of 16-bit vectors.
//
// Everything here is shared by the kernel's versions for different instruction sets and by the code that
// calls it; the vectors themselves are in trellis_lanes.cc. Whatever the vector length, lanes never see each
// other: the same input gives the same levels on every machine.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vvc/residual/scan.h"
#include "vvc/trellis/lane_rates.h"

namespace llmcodec::vvc {

inline constexpr int kTrellisLanes = 32;

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
  void* memory = nullptr;  // trellis_memory_size() bytes, aligned to 64

  // Results. `levels`: |TransCoeffLevel|. `valid` is 0 for a block whose costs left
  // 16 bits: search it one by one.
  uint16_t* levels = nullptr;
  uint32_t cost[kTrellisLanes];
  uint16_t last[kTrellisLanes];  // of the last level, 0xffff: none
  uint16_t final_state[kTrellisLanes];
  uint16_t valid[kTrellisLanes];
};

// Candidates up to here have levels below 128.
inline constexpr int kMaxLaneMagnitude = 65000;

size_t trellis_memory_size();

// By the best instruction set of this machine (or the one that Highway was told to use).
void quantize_lanes(LaneProblem& problem);

}  // namespace llmcodec::vvc
