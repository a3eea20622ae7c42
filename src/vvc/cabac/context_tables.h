// SPDX-License-Identifier: BSD-3-Clause
// Initial values of the context models for I slices (H.266 clause 9.3.2.2 and its tables of initValue and
// shiftIdx), one row per syntax element, in the order of contexts.h.
#pragma once

#include <cstdint>
#include <span>

namespace llmcodec::vvc {

struct ContextTableRow {
  const char* name;                     // H.266 syntax element
  int first;                            // index of the first model in a ContextSet
  std::span<const uint8_t> init_value;  // 6 bits: slope and offset over the slice QP
  std::span<const uint8_t> shift_idx;   // 4 bits: the two window lengths
};

std::span<const ContextTableRow> context_table();

}  // namespace llmcodec::vvc
