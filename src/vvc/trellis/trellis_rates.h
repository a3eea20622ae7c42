// SPDX-License-Identifier: BSD-3-Clause
// Prices that the trellis looks up: every bin and combination of bins of residual_coding() for the models as
// they stand, in 2^-8 bit: fine enough not to matter, coarse enough for 16-bit sums (trellis_lanes.h).
#pragma once

#include <array>
#include <cstdint>

#include "vvc/cabac/cabac_cost.h"
#include "vvc/cabac/contexts.h"
#include "vvc/residual/rice.h"

namespace llmcodec::vvc {

// One bit, in the unit of the trellis.
inline constexpr int kLog2RateBit = 8;
inline constexpr uint32_t kRateBit = 1u << kLog2RateBit;

// From the unit of CabacCost.
constexpr uint32_t to_rate(uint64_t cost) {
  constexpr int kShift = kLog2Bit - kLog2RateBit;
  return static_cast<uint32_t>((cost + (1u << (kShift - 1))) >> kShift);
}

struct TrellisRates {
  uint32_t sig[3][12][2];  // by max(0, QState - 1), ctxInc, sig_coeff_flag
  // Magnitude flags and sign by ctxInc and level 1, 2, 3, even above, odd above (4 and 5); entry 0 is unused.
  uint32_t level[21][6];
  uint32_t sb_coded[2][2];  // by ctxInc, sb_coded_flag
  uint32_t last_x[32], last_y[32];
  uint32_t tu_coded[2];  // tu_y_coded_flag
};

TrellisRates trellis_rates(const ContextSet& contexts, int log2_width, int log2_height);

inline constexpr auto kRiceLengths = [] {
  std::array<std::array<uint8_t, 64>, 4> table{};
  for (int rice = 0; rice < 4; ++rice)
    for (int value = 0; value < 64; ++value)
      table[rice][value] = static_cast<uint8_t>(rice_length(value, rice));
  return table;
}();

inline int64_t rice_rate(int value, int rice) {
  return int64_t{kRateBit} * (value < 64 ? kRiceLengths[rice][value] : rice_length(value, rice));
}

// Price of abs_remainder for `level`, zero below 4.
inline constexpr auto kRemainderLengths = [] {
  std::array<std::array<uint8_t, 64>, 4> table{};
  for (int rice = 0; rice < 4; ++rice)
    for (int level = 4; level < 64; ++level)
      table[rice][level] = static_cast<uint8_t>(rice_length((level - 4) >> 1, rice));
  return table;
}();

inline int64_t remainder_rate(int level, int rice) {
  return int64_t{kRateBit} *
         (level < 64 ? kRemainderLengths[rice][level] : rice_length((level - 4) >> 1, rice));
}

}  // namespace llmcodec::vvc
