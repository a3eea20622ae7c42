// SPDX-License-Identifier: BSD-3-Clause
// Context models of several streams, one stream in each lane: tables that need no vectors.
//
// Models are kept as rows, [model][lane], from kFirstLaneModel on. What is the same in all streams, how fast
// a model adapts, is looked up by position in the row group that a coefficient can choose from.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vvc/cabac/contexts.h"

namespace llmcodec::vvc {

inline constexpr int kMaxLanes = 16;
// Three streams are no faster than one by one.
inline constexpr size_t kFewestLanes = 4;

// Models of sb_coded_flag, sig_coeff_flag and the greater flags: those of a block's inner bins.
inline constexpr int kFirstLaneModel = ctx::kSbCodedFlag;
inline constexpr int kLaneModels = ctx::kCount - kFirstLaneModel;

// shift0 << 16 | shift1 of the models that one coefficient can choose from; entries not used are 0.
struct LaneShifts {
  alignas(64) uint32_t sb_coded[kMaxLanes];
  uint32_t sig[3][kMaxLanes];  // by ScanEntry::sig_offset / 4; entry 4 * max(0, QState - 1) + increment
  uint32_t greater[3][4][kMaxLanes];  // par, gt1, gt3; by ScanEntry::greater_offset / 5; entry increment
};

const LaneShifts& lane_shifts();

}  // namespace llmcodec::vvc
