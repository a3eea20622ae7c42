// SPDX-License-Identifier: BSD-3-Clause
// What contexts and Rice parameters take from a coefficient's neighbours. Its template are five of them,
// coded before it: two to the right, two below, and the one right below. H.266 derives three sums over them:
// locNumSig and locSumAbsPass1 (9.3.4.2.7) for contexts, locSumAbs (9.3.3.2) for Rice parameters.
//
// Levels are packed so that one sum over the five gives all three:
//   bits 0-4    the level as far as pass 1 tells it, at most 5 each
//   bits 5-7    1 for a level that is not zero
//   bits 8-15   the level, clipped to 51: above, the Rice parameter no longer changes
//
// Example (const uint16_t* packed, const ScanOrder& scan, int n):
//
//   const unsigned sums = template_sum(packed + scan[n].padded);        // packed: kPaddedSize of them
//   const int sig_inc = kTemplateIncrements[sums & 255].sig;
//   const int rice = rice_parameter(static_cast<int>(sums >> 8));
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "vvc/residual/scan.h"

namespace llmcodec::vvc {

inline constexpr int kFullLevelClip = 51;

// A level of 1 to 5, of which no remainder is known (yet).
constexpr uint16_t pack_pass1(int level) {
  return static_cast<uint16_t>(level << 8 | 32 | level);
}
// The level in its upper bits replaced.
constexpr uint16_t pack_full(uint16_t packed, int level) {
  return static_cast<uint16_t>((packed & 0xff) | std::min(level, kFullLevelClip) << 8);
}
// Any level: pass 1 tells 4 and more up to its parity.
constexpr uint16_t packed_level(int level) {
  const int in_pass1 = std::min(level, 4 + (level & 1));
  return static_cast<uint16_t>(in_pass1 | static_cast<int>(level != 0) << 5 |
                               std::min(level, kFullLevelClip) << 8);
}

inline unsigned template_sum(const uint16_t* at) {
  return at[1] + at[2] + at[kPaddedStride] + at[kPaddedStride + 1] + at[2 * kPaddedStride];
}

// Parts of ctxInc that the low byte of a template sum decides. H.266 9.3.4.2.8 and 9.3.4.2.9
struct TemplateIncrements {
  uint8_t sig;      // of sig_coeff_flag
  uint8_t greater;  // of par_level_flag and abs_level_gtx_flag
};
inline constexpr auto kTemplateIncrements = [] {
  std::array<TemplateIncrements, 256> table{};
  for (int sum = 0; sum < 256; ++sum) {
    const int loc_sum_abs_pass1 = sum & 31, loc_num_sig = sum >> 5;
    table[sum].sig = static_cast<uint8_t>(std::min((loc_sum_abs_pass1 + 1) >> 1, 3));
    table[sum].greater = static_cast<uint8_t>(std::clamp(loc_sum_abs_pass1 - loc_num_sig, 0, 4));
  }
  return table;
}();

// Where the models of sig_coeff_flag start for each QState: 12 * Max(0, QState - 1).
inline constexpr uint8_t kSigSet[4] = {0, 0, 12, 24};

}  // namespace llmcodec::vvc
