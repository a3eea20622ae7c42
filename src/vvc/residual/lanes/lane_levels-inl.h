// SPDX-License-Identifier: BSD-3-Clause
// The levels of one sub-block of 4x4 in every lane (H.266 7.3.11.11). Lanes share the position inside the
// sub-block; a lane that has nothing to read there is masked. Compiled once per instruction set.
//
// `Contexts` is LaneContexts or LaneWindows: neighbours and models, by the position
// in the sub-block where it stands.
#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "vvc/residual/lanes/lane_streams-inl.h"
#include "vvc/residual/residual_decoder.h"

// Highway's include guard: one copy for each instruction set.
#if defined(LLMCODEC_LANE_LEVELS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LLMCODEC_LANE_LEVELS_INL
#undef LLMCODEC_LANE_LEVELS_INL
#else
#define LLMCODEC_LANE_LEVELS_INL
#endif

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
#if LLMC_HAS_LANES

// The last coefficient of a block, and what stands before it, is read by CabacDecoder before the lanes start.
struct LastLevel {
  int position, level;
};
inline LastLevel read_last_level(CabacDecoder& bins, int log2_width, int log2_height) {
  LastLevel last{last_sig_coeff(bins, 0, log2_width, log2_height), 1};
  if (bins.bin(0, ctx::kAbsLevelGt1Flag) != 0) {
    last.level = 2 + bins.bin(0, ctx::kParLevelFlag);
    last.level += 2 * bins.bin(0, ctx::kAbsLevelGt3Flag);
  }
  return last;
}

// Lanes (all ones or zeros) of a sub-block, and where they read levels in it.
struct LaneSubblock {
  V has_last;  // the block's last level is in it
  V inner;     // neither that one nor the block's first sub-block: sb_coded_flag says whether it is coded
  V end;       // levels are read below this position (a number; none where negative)
};

template <class Contexts>
class LaneLevels {
 public:
  void clear(size_t lane) { state_high_[lane] = state_low_[lane] = budget_[lane] = out_of_range_[lane] = 0; }
  void start_block(size_t lane, int last_level, int budget) {
    clear(lane);
    state_high_[lane] = 0u - static_cast<uint32_t>(last_level & 1);
    budget_[lane] = static_cast<uint32_t>(budget - (last_level > 1 ? 3 : 1));
  }
  bool level_in_range(size_t lane) const { return out_of_range_[lane] == 0; }

  // Before read(), in this order: no levels; a lane's last one.
  void clear_subblock() {
    for (Row& row : levels_) store(set(0), row);
  }
  void put_last(size_t lane, const LastLevel& last) {
    levels_[last.position & 15][lane] = static_cast<uint32_t>(2 * last.level);
    contexts.put_level(last.position & 15, lane, last.level);
  }
  // Lanes whose sub-block is coded; its levels are in level().
  V read(const LaneSubblock& s) {
    const V coded = sb_coded_flag(s);
    if (!any(coded)) return coded;
    pass1(coded, s);
    pass2();
    if (any(coded & yes(is_less(load(budget_), set(4))))) pass3(coded, s.end);
    signs();
    return coded;
  }
  // TransCoeffLevel at a position of the sub-block.
  HWY_INLINE V level(int n) const { return load(levels_[n]); }

  Contexts contexts;
  LaneStreams streams;

 private:
  V sb_coded_flag(const LaneSubblock& s) {
    V coded = s.has_last | yes(is_less(set(0), s.end));
    if (any(s.inner)) {
      Arithmetic a = streams.arithmetic;
      a.refill();
      coded = choose(s.inner, contexts.sb_coded_flag(a, s.inner), coded);
      streams.arithmetic = a;
    }
    return coded;
  }

  // sig_coeff_flag, abs_level_gtx_flag[0], par_level_flag, abs_level_gtx_flag[1].
  void pass1(V coded, const LaneSubblock& s) {
    Arithmetic a = streams.arithmetic;
    V high = load(state_high_), low = load(state_low_), budget = load(budget_);  // QState by its bits
    V has_level = s.has_last;
    for (int n = 15; n >= 0; --n) {
      const V active =
          coded & yes(is_less(set(static_cast<uint32_t>(n)), s.end)) & yes(is_less(set(3), budget));
      store(active, in_pass1_[n]);
      const V sums = contexts.template_sums(n);
      V asked = active, inferred = set(0);
      if (n == 0) {  // a coded sub-block without levels so far
        inferred = hn::AndNot(has_level, active & s.inner);
        asked = hn::AndNot(inferred, active);
      }
      a.refill();
      const V significant = contexts.sig_coeff_flag(a, n, sums & set(31), high, low, asked) | inferred;
      const auto greater = contexts.greater(n, sums);
      const V above_1 = contexts.template greater_flag<1, ctx::kAbsLevelGt1Flag>(a, greater, significant);
      a.top_up();
      const V parity = contexts.template greater_flag<0, ctx::kParLevelFlag>(a, greater, above_1);
      const V above_3 = contexts.template greater_flag<2, ctx::kAbsLevelGt3Flag>(a, greater, above_1);
      budget = budget + asked + significant + above_1 + above_1;
      has_level = has_level | significant;
      const V level = set(0) - (significant + above_1 + parity + above_3 + above_3);
      contexts.put_level(n, contexts.level_at(n) | level | hn::ShiftLeft<8>(level) | (significant & set(32)));
      store(load(levels_[n]) | (level + level + (high & significant)), levels_[n]);
      step_state((significant ^ above_1) | parity, active, high, low);
    }
    streams.arithmetic = a;
    store(high, state_high_), store(low, state_low_), store(budget, budget_);
  }

  HWY_INLINE void put_full(int n, V level, V where) {
    const V packed = contexts.level_at(n), full = hn::Min(level, set(kFullLevelClip));
    contexts.put_level(n, choose(where, (packed & set(0xff)) | hn::ShiftLeft<8>(full), packed));
  }

  // abs_remainder, where pass 1 ended with "more than 3 and parity".
  void pass2() {
    for (int n = 15; n >= 0; --n) {
      const V in_pass1 = load(levels_[n]), active = yes(is_less(set(6), in_pass1));
      if (!any(active)) continue;
      const V rice = rice_parameter_of(hn::ShiftRight<8>(contexts.template_sums(n)), kRemainderSum);
      const V magnitude = in_pass1 + hn::ShiftLeft<2>(streams.rice_code(rice, active) & active);
      store(magnitude, levels_[n]);
      put_full(n, hn::ShiftRight<1>(magnitude + set(1)), active);
    }
  }

  // dec_abs_level, where the budget of context bins had run out.
  void pass3(V coded, V end) {
    V high = load(state_high_), low = load(state_low_);
    for (int n = 15; n >= 0; --n) {
      const V in_block = coded & yes(is_less(set(static_cast<uint32_t>(n)), end));
      const V active = hn::AndNot(load(in_pass1_[n]), in_block);
      if (!any(active)) continue;
      const V rice = rice_parameter_of(hn::ShiftRight<8>(contexts.template_sums(n)), 0);
      const V word = streams.rice_code(rice, active), zero = set(1) << (rice - high);
      const V level = hn::AndNot(yes(word == zero), (word - yes(is_less(word, zero))) & active);
      const V significant = yes(level != set(0));
      store(load(levels_[n]) | (level + level + (high & significant)), levels_[n]);
      put_full(n, level, active);
      step_state(set(0) - (level & set(1)), active, high, low);
    }
    store(high, state_high_), store(low, state_low_);
  }

  // coeff_sign_flag of all non-zero coefficients, then TransCoeffLevel.
  void signs() {
    constexpr int kHalf = 8;  // of the at most sixteen flags
    V count = set(0), out_of_range = load(out_of_range_);
    for (const Row& row : levels_) count = count - yes(load(row) != set(0));
    Arithmetic a = streams.arithmetic;
    a.gather(), a.top_up();
    const V in_first = hn::Min(count, set(kHalf)), first = a.peek<kHalf>();
    a.take<kHalf>(first, in_first);
    const V second = a.peek<kHalf>();
    a.take<kHalf>(second, count - in_first);
    streams.arithmetic = a;
    V flags = hn::ShiftLeft<32 - kHalf>(first) | hn::ShiftLeft<32 - 2 * kHalf>(second);
    for (int n = 15; n >= 0; --n) {
      const V magnitude = load(levels_[n]), negative = sign_of(flags);
      const auto level = hn::BitCast(di, (magnitude ^ negative) - negative);
      const auto clipped = hn::Min(hn::Max(level, hn::Set(di, -32768)), hn::Set(di, 32767));
      out_of_range = out_of_range | hn::BitCast(d, level ^ clipped);
      flags = choose(yes(magnitude == set(0)), flags, flags + flags);
      store(hn::BitCast(d, clipped), levels_[n]);
    }
    store(out_of_range, out_of_range_);
  }

  alignas(64) Row state_high_ = {};  // the two bits of QState
  Row state_low_ = {};
  Row budget_ = {};
  Row out_of_range_ = {};  // not 0: a level left its range
  Row levels_[16];         // before signs(): AbsLevel doubled, less 1 when QState > 1
  Row in_pass1_[16] = {};
};

#endif  // LLMC_HAS_LANES
}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // include guard
