// SPDX-License-Identifier: BSD-3-Clause
// residual_coding(): the quantised coefficients of one luma transform block, described once for writing
// (CabacEncoder), reading (CabacDecoder) and pricing (CabacCost).
//
// How a block is coded. Coefficients are visited from the last non-zero one back to position 0 (scan.h).
// In each sub-block of 4x4 the magnitudes come in three passes, then the signs:
//   pass 1   sig_coeff_flag, abs_level_gtx_flag[0], par_level_flag, abs_level_gtx_flag[1]: context bins,
//            as long as the block's budget of 1.75 context bins per coefficient lasts
//   pass 2   abs_remainder of the coefficients whose pass 1 ended with abs_level_gtx_flag[1] = 1: bypass bins
//   pass 3   dec_abs_level of the coefficients that the budget did not reach: bypass bins
// Contexts and Rice parameters follow from five neighbours already coded (level_template.h).
//
// With dependent quantisation the parities drive a machine of four states (QState).
// States 0 and 1 use quantiser Q0 (even multiples of the step), 2 and 3 use Q1 (odd multiples and zero):
//   TransCoeffLevel = sign * (2 * AbsLevel - (QState > 1)), or 0 for AbsLevel 0
//
// Example (CabacEncoder& encoder, CabacDecoder& decoder):
//
//   int32_t written[1024] = {2}, read[1024] = {};                // TransCoeffLevel in raster order
//   TransformBlock block{.log2_width = 5, .log2_height = 5, .trans_coeff_level = written};
//   residual_coding(encoder, block, 0);                          // 0: the last level that is not 0
//   block.trans_coeff_level = read;                              // levels must be 0 before
//   const ResidualInfo info = residual_coding(decoder, block, 0);
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>

#include "vvc/cabac/contexts.h"
#include "vvc/residual/level_template.h"
#include "vvc/residual/rice.h"
#include "vvc/residual/scan.h"

namespace llmcodec::vvc {

// State machine of dependent quantisation (H.266 7.3.11.11, stateTransTable): two bits per (state, parity).
constexpr int next_state(int state, int parity) {
  constexpr uint32_t kTable = 0 | 2u << 2 | 2u << 4 | 0 | 1u << 8 | 3u << 10 | 3u << 12 | 1u << 14;
  return static_cast<int>(kTable >> (4 * state + 2 * parity)) & 3;
}

// Context bins that a block may spend.
constexpr int context_bin_budget(int log2_width, int log2_height) {
  return (1 << (std::min(log2_width, 5) + std::min(log2_height, 5))) * 7 >> 2;
}

struct TransformBlock {
  int log2_width = 5;                    // log2TbWidth, 2..6
  int log2_height = 5;                   // log2TbHeight, 2..6
  bool dep_quant = true;                 // sh_dep_quant_used_flag
  int32_t* trans_coeff_level = nullptr;  // TransCoeffLevel, raster, stride 1 << log2_width; caller's
};

struct ResidualInfo {
  int last_scan_position = 0;  // of the last non-zero coefficient
  bool level_in_range = true;  // false: a level left [-32768, 32767], was clipped, and the stream is corrupt
};

// last_sig_coeff_{x,y}_prefix. H.266 9.3.4.2.4: ctxInc = (binIdx >> ctxShift) + ctxOffset
template <class Bins>
int last_sig_coeff_prefix(Bins& bins, int prefix, int first_context, int log2_size) {
  constexpr int kOffset[] = {0, 0, 0, 3, 6, 10, 15};
  const int shift = (log2_size + 1) >> 2;
  const int max = 2 * std::min(log2_size, 5) - 1;
  int i = 0;
  while (i < max && bins.bin(prefix > i, first_context + kOffset[log2_size] + (i >> shift))) ++i;
  return i;
}

// last_sig_coeff_{x,y}_suffix: the coordinate from its prefix. H.266 7.4.12.11
template <class Bins>
int last_sig_coeff_suffix(Bins& bins, int position, int prefix) {
  if (prefix <= 3) return prefix;
  const int bits = (prefix >> 1) - 1;
  const int base = (2 + (prefix & 1)) << bits;
  return base +
         static_cast<int>(bins.bypass(static_cast<uint32_t>(position - base) & ((1u << bits) - 1), bits));
}

// Prefix that `position` (0..31) is coded with.
constexpr int last_prefix_of(int position) {
  if (position < 4) return position;
  const int log2 = floor_log2(static_cast<unsigned>(position));
  return 2 * log2 + (position >> (log2 - 1) & 1);
}

// Scan position of the last non-zero coefficient: last_sig_coeff_x_prefix .. last_sig_coeff_y_suffix.
template <class Bins>
int last_sig_coeff(Bins& bins, int last, int log2_width, int log2_height) {
  const ScanOrder& scan = scan_order(log2_width, log2_height);
  const int x = scan[last].x, y = scan[last].y;
  const int x_prefix = last_sig_coeff_prefix(bins, last_prefix_of(x), ctx::kLastSigCoeffXPrefix, log2_width);
  const int y_prefix = last_sig_coeff_prefix(bins, last_prefix_of(y), ctx::kLastSigCoeffYPrefix, log2_height);
  const int x_coded = last_sig_coeff_suffix(bins, x, x_prefix);
  const int y_coded = last_sig_coeff_suffix(bins, y, y_prefix);
  return scan_position_of(log2_width, log2_height, x_coded, y_coded);
}

// Codes one transform block; the state that lives through all of its sub-blocks.
template <class Bins>
class ResidualCoder {
 public:
  ResidualCoder(Bins& bins, const TransformBlock& block)
      : bins_(bins),
        block_(block),
        scan_(scan_order(block.log2_width, block.log2_height)),
        rem_bins_pass1_(context_bin_budget(block.log2_width, block.log2_height)) {}

  // H.266 7.3.11.11 Residual coding syntax
  ResidualInfo code(int last) {
    last_ = last_sig_coeff(bins_, last, block_.log2_width, block_.log2_height);
    for (int i = last_ >> 4; i >= 0; --i)
      if (sb_coded_flag(i)) subblock(i);
    return {last_, in_range_};
  }

 private:
  int abs_level_to_write(int scan_position) const {
    const int level = block_.trans_coeff_level[scan_[scan_position].raster];
    return (std::abs(level) + (q_state_ >> 1)) >> static_cast<int>(block_.dep_quant);
  }

  void advance_state(int parity) {
    if (block_.dep_quant) q_state_ = next_state(q_state_, parity);
  }

  // The neighbours right of and below sub-block `i`, in a bit map of 8 columns (plus a spare one) by 8 rows.
  // H.266 9.3.4.2.6 Derivation process of ctxInc for the syntax element sb_coded_flag
  bool sb_coded_flag(int i) {
    const int x = scan_.subblock_x[i], y = scan_.subblock_y[i];
    bool coded = true;
    if (i != last_ >> 4 && i != 0) {
      const int csbf = static_cast<int>((sb_coded_[y] >> (x + 1) & 1) | (sb_coded_[y + 1] >> x & 1));
      coded = bins_.bin(any_level(i), ctx::kSbCodedFlag + csbf);
    }
    sb_coded_[y] = static_cast<uint16_t>(sb_coded_[y] | static_cast<unsigned>(coded) << x);
    return coded;
  }
  bool any_level(int i) const {
    int32_t any = 0;
    for (int n = 16 * i; n < 16 * i + 16; ++n) any |= block_.trans_coeff_level[scan_[n].raster];
    return any != 0;
  }

  void subblock(int i) {
    const int first = 16 * i;
    significant_ = state_above_1_ = has_remainder_ = 0;
    int n = std::min(first + 15, last_);
    // A sub-block flagged as coded must hold something: its position 0 is inferred when nothing came before.
    const int inferred = n == last_ ? last_ : i > 0 ? first : -1;
    for (; n >= first && rem_bins_pass1_ >= 4; --n) pass1(n, n == inferred && significant_ == 0);
    for (uint32_t left = has_remainder_; left != 0;) {
      const int bit = floor_log2(left);
      left ^= 1u << bit;
      pass2(first + bit);
    }
    for (; n >= first; --n) pass3(n);
    if (significant_ != 0) signs(first);
  }

  // sig_coeff_flag, abs_level_gtx_flag[0], par_level_flag, abs_level_gtx_flag[1]
  void pass1(int n, bool sig_inferred) {
    const ScanEntry& place = scan_[n];
    const TemplateIncrements increments = kTemplateIncrements[template_sum(levels_ + place.padded) & 255];
    const int target = abs_level_to_write(n);
    bool sig = sig_inferred;
    if (!sig_inferred) {
      const int inc = kSigSet[q_state_] + increments.sig + place.sig_offset;
      sig = bins_.bin(target != 0, ctx::kSigCoeffFlag + inc);
      --rem_bins_pass1_;
    }
    if (!sig) {
      advance_state(0);
      return;
    }
    const int inc = n == last_ ? 0 : increments.greater + place.greater_offset;
    int level = 1;
    if (bins_.bin(target > 1, ctx::kAbsLevelGt1Flag + inc)) {
      const int parity = bins_.bin(target & 1, ctx::kParLevelFlag + inc);
      const int gt3 = bins_.bin(target > 3, ctx::kAbsLevelGt3Flag + inc);
      level = 2 + parity + 2 * gt3;
      has_remainder_ |= static_cast<uint32_t>(gt3) << (n & 15);
      rem_bins_pass1_ -= 2;
    }
    --rem_bins_pass1_;
    found(n, level);
    levels_[place.padded] = pack_pass1(level);
    advance_state(level & 1);
  }

  // abs_remainder: AbsLevel = level of pass 1 + 2 * abs_remainder
  void pass2(int n) {
    const ScanEntry& place = scan_[n];
    const int sum = static_cast<int>(template_sum(levels_ + place.padded) >> 8);
    int& level = abs_level_[n & 15];
    const int32_t target = block_.trans_coeff_level[place.raster];
    const int state_bit = static_cast<int>(state_above_1_ >> (n & 15) & 1);
    const int target_level = (std::abs(target) + state_bit) >> static_cast<int>(block_.dep_quant);
    level += 2 * rice_code(bins_, (target_level - level) >> 1, rice_parameter(sum - kRemainderSum));
    levels_[place.padded] = pack_full(levels_[place.padded], level);
  }

  // dec_abs_level: AbsLevel, with the code word of zero moved to ZeroPos
  void pass3(int n) {
    const ScanEntry& place = scan_[n];
    const int sum = static_cast<int>(template_sum(levels_ + place.padded) >> 8);
    const int rice = rice_parameter(sum);
    const int zero = zero_position(q_state_, rice);
    const int target = abs_level_to_write(n);
    const int word = rice_code(bins_, target == 0 ? zero : target <= zero ? target - 1 : target, rice);
    const int level = word == zero ? 0 : word < zero ? word + 1 : word;
    if (level != 0) {
      found(n, level);
      levels_[place.padded] = pack_full(0, level);
    }
    advance_state(level & 1);
  }

  void found(int n, int level) {
    significant_ |= 1u << (n & 15);
    state_above_1_ |= static_cast<uint32_t>(q_state_ >> 1) << (n & 15);
    abs_level_[n & 15] = level;
  }

  // coeff_sign_flag of all non-zero coefficients, then TransCoeffLevel
  void signs(int first) {
    const int count = std::popcount(significant_);
    uint32_t to_write = 0;
    for (uint32_t left = significant_; left != 0;) {
      const int bit = floor_log2(left);
      left ^= 1u << bit;
      to_write = to_write << 1 | (block_.trans_coeff_level[scan_[first + bit].raster] < 0);
    }
    uint32_t flags = bins_.bypass(to_write, count);
    for (uint32_t left = significant_; left != 0; left &= left - 1, flags >>= 1) {
      const int bit = std::countr_zero(left);
      const int magnitude = (abs_level_[bit] << static_cast<int>(block_.dep_quant)) -
                            static_cast<int>(state_above_1_ >> bit & 1);
      const int level = flags & 1 ? -magnitude : magnitude;
      const int clipped = std::clamp(level, -32768, 32767);
      in_range_ &= clipped == level;
      block_.trans_coeff_level[scan_[first + bit].raster] = clipped;
    }
  }

  Bins& bins_;
  const TransformBlock& block_;
  const ScanOrder& scan_;
  int rem_bins_pass1_;
  int last_ = 0;
  int q_state_ = 0;
  bool in_range_ = true;
  uint32_t significant_ = 0;    // by position in the sub-block
  uint32_t state_above_1_ = 0;  // QState > 1 when the coefficient was coded
  uint32_t has_remainder_ = 0;
  int abs_level_[16];          // AbsLevel of the significant ones
  uint16_t sb_coded_[9] = {};  // one bit per sub-block, rows of the block
  uint16_t levels_[kPaddedSize] = {};
};

// Writes, reads or prices one block. For writing and pricing `block` holds the levels (at least one non-zero,
// each one reachable: with dependent quantisation its parity must suit the state) and is left unchanged; for
// reading it must hold zeros. `last` is the scan position of the last non-zero level (ignored by a decoder).
template <class Bins>
ResidualInfo residual_coding(Bins& bins, const TransformBlock& block, int last) {
  return ResidualCoder<Bins>(bins, block).code(last);
}

}  // namespace llmcodec::vvc
