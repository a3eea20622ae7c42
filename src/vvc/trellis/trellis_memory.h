// SPDX-License-Identifier: BSD-3-Clause
// Working memory of the kernel in trellis_lanes.cc, and its tables that need no vectors.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vvc/residual/scan.h"

namespace llmcodec::vvc {

constexpr int kStates = 4;
constexpr int kStarted = 4;  // in place of a state: the path begins here, or its sub-block has no levels
constexpr int kMaxSubblocks = 64;
constexpr uint16_t kDead = 0xffff;  // a cost: no such path

// What one step does to the slots, by the position that it decides: `added` have it in their template; `kept`
// are only carried over. Levels in the lower right quarter are of no use to other sub-blocks and are dropped.
struct SlotLists {
  uint8_t added[16][8], kept[16][16];
  uint8_t added_count[16], kept_count[16];
};

constexpr SlotLists make_slot_lists() {
  SlotLists lists{};
  for (int p = 0; p < 16; ++p)
    for (int q = 0; q < 16; ++q) {
      const bool useful = q < p || kSubblockScan.x[q] < 2 || kSubblockScan.y[q] < 2;
      if (is_in_template(q, p))
        lists.added[p][lists.added_count[p]++] = static_cast<uint8_t>(q);
      else if (q != p && useful)
        lists.kept[p][lists.kept_count[p]++] = static_cast<uint8_t>(q);
    }
  return lists;
}
constexpr SlotLists kSlots = make_slot_lists();

// Working memory for vectors of kN lanes.
template <size_t kN>
struct TrellisMemory {
  using Lanes = uint16_t[kN];
  alignas(64) Lanes cost[kStates];
  Lanes budget[kStates];
  Lanes any[kStates];     // all ones: a level of this sub-block is not zero
  Lanes origin[kStates];  // state at the start of this sub-block, kStarted if the path began in it
  Lanes slots[16][kStates];
  Lanes skip_cost[kStates];
  Lanes skip_budget[kStates];
  Lanes zero_tail;
  // By state and row of sub-blocks: end states (kStarted: no levels) of the two latest sub-blocks, the latest
  // in bits 0-2, the one right of it in bits 3-5.
  Lanes row_nodes[kStates][9];
  // What sub-block (x, y), for each end state, adds to template sums of its neighbours: [y][x & 1][state].
  Lanes to_left[8][2][kStates][8];
  Lanes to_above[8][2][kStates][8];
  Lanes corner[8][2][kStates];
  Lanes skipped[kMaxSubblocks][kStates];
  Lanes decisions[1024][kStates];  // level | state before << 8
  uint32_t base[kN];               // what was subtracted from costs
  Lanes valid;                     // all ones: no cost rose too far
};

}  // namespace llmcodec::vvc
