// SPDX-License-Identifier: BSD-3-Clause
// As read_32x32_lanes.cc, but all levels are known, so nothing waits for the arithmetic coder.
// What the bins of one coefficient add to a stream's code is summed up in 32 bits;
// then it joins the 64 bits not yet moved out.
#include "vvc/residual/lanes/write_32x32_lanes.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vvc/residual/lanes/write_32x32_lanes.cc"
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <cstdlib>

#include "vvc/residual/lanes/lane_contexts-inl.h"
#include "vvc/residual/residual_encoder.h"
#include "vvc/residual/residual_syntax.h"

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
namespace {

void encode_alone(const LaneOutput& block) {
  encode_residual_in_scan_order(*block.bins, 5, 5, block.levels, block.last);
}

#if LLMC_HAS_LANES

constexpr hn::Repartition<uint64_t, D> d64;
constexpr hn::Half<D> d_half;
using V64 = hn::Vec<decltype(d64)>;

// CabacEncoder for kN streams. Bits wait in `low` (lower and upper lanes) as there.
struct LaneCoder {
  V range;
  V added, shifted;  // by the bins since the last settle(): low = (low << shifted) + added
  V64 low[2];
  V pending;

  static constexpr uint32_t kMaxShift = 22;    // between two calls of settle(), so that `added` fits
  static constexpr uint32_t kMaxPending = 31;  // at its start: 9 + 31 + 22 bits and a carry

  HWY_INLINE void clear() { added = shifted = set(0); }

  HWY_INLINE void bin(V& states, V shifts, V active, V ones) {
    const V probability = probability_of(states);
    const V lps = hn::ShiftRight<1>(twice_lps_range(probability, range, active));
    const V mps_range = range - lps;
    const V is_lps = (ones ^ (set(0) - hn::ShiftRight<14>(probability))) & active;
    const V width = choose(is_lps, lps, mps_range), shift = renormalising_shift(width);
    added = (added + (is_lps & mps_range)) << shift;
    range = width << shift;
    shifted = shifted + shift;
    states = adapted(states, shifts, ones);
  }
  // `count` bypass bins, at most kMaxShift.
  HWY_INLINE void bypass(V value, V count) {
    added = (added << count) + range * value;
    shifted = shifted + count;
  }
  HWY_INLINE void settle() {
    const auto join = [](V64 low_half, auto shift, auto sum) HWY_ATTR {
      return (low_half << hn::PromoteTo(d64, shift)) + hn::PromoteTo(d64, sum);
    };
    low[0] = join(low[0], hn::LowerHalf(d_half, shifted), hn::LowerHalf(d_half, added));
    low[1] = join(low[1], hn::UpperHalf(d_half, shifted), hn::UpperHalf(d_half, added));
    pending = pending + shifted;
    clear();
  }
  HWY_INLINE bool is_full() const { return any(yes(is_less(set(kMaxPending), pending))); }
};

// A bin of known value, as the engine of LaneContexts.
struct KnownBin {
  LaneCoder& coder;
  V ones;
  HWY_INLINE V bin(V& states, V shifts, V active) {
    coder.bin(states, shifts, active, ones);
    return ones;
  }
};

class LaneWriter {
 public:
  LaneWriter(const LaneOutput* const* blocks, size_t count) : blocks_(blocks), count_(count) {}

  void write() {
    for (size_t lane = 0; lane < kN; ++lane) start(lane);
    for (size_t lane = 0; lane < count_; ++lane)
      contexts_.exchange(lane, blocks_[lane]->bins->contexts(), kTakeModel);
    fetch();
    for (int i = highest_last_ >> 4; i >= 0; --i) subblock(i);
    move_out();
    for (size_t lane = 0; lane < count_; ++lane)
      contexts_.exchange(lane, blocks_[lane]->bins->contexts(), kHandBackModel);
  }

 private:
  // --- from the plain encoders and back

  // What comes before the lanes start: last_sig_coeff, and the greater flags of the last coefficient.
  void start(size_t lane) {
    last_[lane] = ~0u;
    range_[lane] = 256;
    if (lane >= count_) return;
    CabacEncoder& bins = *blocks_[lane]->bins;
    const int last = blocks_[lane]->last;
    const int level = std::abs(blocks_[lane]->levels[last]) >> 1;
    last_sig_coeff(bins, last, 5, 5);
    if (bins.bin(level > 1, ctx::kAbsLevelGt1Flag) != 0) {
      bins.bin(level & 1, ctx::kParLevelFlag);
      bins.bin(level > 3, ctx::kAbsLevelGt3Flag);
    }
    highest_last_ = std::max(highest_last_, last);
    last_[lane] = static_cast<uint32_t>(last);
    budget_[lane] = static_cast<uint32_t>(context_bin_budget(5, 5)) - (level > 1 ? 3 : 1);
  }

  void fetch() {
    for (size_t lane = 0; lane < count_; ++lane) {
      const CabacEncoder::Registers r = blocks_[lane]->bins->registers();
      low_[lane] = r.low;
      range_[lane] = r.range;
      pending_[lane] = static_cast<uint32_t>(r.pending);
    }
    coder_.range = load(range_);
    coder_.pending = load(pending_);
    for (size_t half = 0; half < 2; ++half) coder_.low[half] = hn::Load(d64, low_ + half * (kN / 2));
    coder_.clear();
  }
  // Whole bytes leave; nothing may be unsettled.
  HWY_NOINLINE void move_out() {
    store(coder_.range, range_), store(coder_.pending, pending_);
    for (size_t half = 0; half < 2; ++half) hn::Store(coder_.low[half], d64, low_ + half * (kN / 2));
    for (size_t lane = 0; lane < count_; ++lane)
      blocks_[lane]->bins->move_out({low_[lane], range_[lane], static_cast<int>(pending_[lane])});
    fetch();
  }
  // After the bins of one coefficient. `coder` may be a copy in registers.
  HWY_INLINE void settle(LaneCoder& coder) {
    coder.settle();
    if (HWY_LIKELY(!coder.is_full())) return;
    coder_ = coder;
    move_out();
    coder = coder_;
  }

  // --- sub-blocks

  void subblock(int i) {
    const V subblock_of_last = hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(di, load(last_))));
    const V here = set(static_cast<uint32_t>(i)), has_last = yes(subblock_of_last == here);
    contexts_.enter(i);
    load_levels(i);
    const V coded = sb_coded_flag(i, has_last, yes(is_less(here, subblock_of_last)));
    if (!any(coded)) return;
    pass1(i, coded, has_last);
    pass2(i);
    if (any(yes(is_less(load(budget_), set(4))))) pass3(i, coded);
    signs();
  }

  // Levels of the sub-block as rows; zeros behind a lane's last one.
  void load_levels(int i) {
    alignas(64) int32_t by_lane[kN][16] = {};
    for (size_t lane = 0; lane < count_; ++lane) {
      const int count = std::min(static_cast<int>(last_[lane]) + 1 - 16 * i, 16);
      if (count > 0) std::copy_n(blocks_[lane]->levels + 16 * i, count, by_lane[lane]);
    }
    const auto lanes = hn::BitCast(di, hn::Iota(d, 0) * set(16));
    for (int n = 0; n < 16; ++n)
      store(hn::BitCast(d, hn::GatherIndex(di, &by_lane[0][n], lanes)), levels_[n]);
  }

  // Lanes whose sub-block `i` is coded. `inner`: it stands before that of the last coefficient.
  V sb_coded_flag(int i, V has_last, V inner) {
    V coded = inner;
    if (i != 0 && any(inner)) {
      V levels = set(0);
      for (const Row& row : levels_) levels = levels | load(row);
      LaneCoder coder = coder_;
      KnownBin bin{coder, yes(levels != set(0))};
      coded = contexts_.sb_coded_flag(bin, inner);
      settle(coder);
      coder_ = coder;
    }
    contexts_.set_coded(coded | has_last);
    return coded | has_last;
  }

  // sig_coeff_flag, abs_level_gtx_flag[0], par_level_flag, abs_level_gtx_flag[1].
  void pass1(int i, V coded, V has_level) {
    LaneCoder coder = coder_;
    V high = load(state_high_), low = load(state_low_), budget = load(budget_);
    const V last = load(last_);
    for (int n = std::min(16 * i + 15, highest_last_); n >= 16 * i; --n) {
      const V here = set(static_cast<uint32_t>(n));
      const V active = coded & yes(is_less(here, last)) & yes(is_less(set(3), budget));
      const V size = hn::BitCast(d, hn::Abs(hn::BitCast(di, load(levels_[n & 15]))));
      const V level = hn::ShiftRight<1>(size - high);
      store(level, sizes_[n & 15]), store(active, in_pass1_[n & 15]), store(high, highs_[n & 15]);
      const V sums = contexts_.template_sums(n & 15);
      V asked = active;
      if (n == 16 * i && i > 0) asked = active & has_level;  // else inferred
      const V is_level = yes(is_less(set(0), level)), significant = is_level & active;
      KnownBin bin{coder, is_level};
      contexts_.sig_coeff_flag(bin, n & 15, sums & set(31), high, low, asked);
      const LaneContexts::Greater greater = contexts_.greater(n & 15, sums);
      bin.ones = yes(is_less(set(1), level));
      const V above_1 = contexts_.greater_flag<1, ctx::kAbsLevelGt1Flag>(bin, greater, significant);
      if (HWY_UNLIKELY(any(yes(is_less(set(LaneCoder::kMaxShift - 12), coder.shifted))))) settle(coder);
      const V odd = set(0) - (level & set(1));
      bin.ones = odd;
      contexts_.greater_flag<0, ctx::kParLevelFlag>(bin, greater, above_1);
      bin.ones = yes(is_less(set(3), level));
      contexts_.greater_flag<2, ctx::kAbsLevelGt3Flag>(bin, greater, above_1);
      settle(coder);
      budget = budget + asked + significant + above_1 + above_1;
      has_level = has_level | is_level;
      const V in_pass1 = hn::Min(level, set(4) | (level & set(1)));
      const V full = hn::Min(level, set(kFullLevelClip));
      contexts_.put_level(n & 15, in_pass1 | (is_level & set(32)) | hn::ShiftLeft<8>(full));
      step_state(odd, coded & yes(is_less(here, last + set(1))), high, low);
    }
    coder_ = coder;
    store(high, state_high_), store(low, state_low_), store(budget, budget_);
  }

  // --- bypass

  // As rice_code() of rice.h, where `active`.
  void rice_code(V value, V rice, V active) {
    const V prefix = value >> rice, escapes = active & yes(is_less(set(kRicePrefixes), prefix));
    const V plain = hn::AndNot(escapes, active);
    const V count = (prefix + rice + set(1)) & plain;
    const V low_bits = value & ((set(1) << rice) - set(1));
    const V ones = (set(2) << (prefix & plain)) - set(2);
    LaneCoder coder = coder_;
    coder.bypass(((ones << rice) | low_bits) & plain, count);
    settle(coder);
    coder_ = coder;
    if (any(escapes)) escape(value, rice, escapes);
  }
  HWY_NOINLINE void escape(V value, V rice, V escapes) {
    alignas(64) Row values, rices, where;
    store(value, values), store(rice, rices), store(escapes, where);
    move_out();
    for (size_t lane = 0; lane < count_; ++lane)
      if (where[lane] != 0)
        vvc::rice_code(*blocks_[lane]->bins, static_cast<int>(values[lane]), static_cast<int>(rices[lane]));
    fetch();
  }

  // abs_remainder
  void pass2(int i) {
    for (int n = std::min(16 * i + 15, highest_last_); n >= 16 * i; --n) {
      const V level = load(sizes_[n & 15]), here = set(static_cast<uint32_t>(n));
      const V in_pass1 = load(in_pass1_[n & 15]) | yes(here == load(last_));
      const V active = in_pass1 & yes(is_less(set(3), level));
      if (!any(active)) continue;
      const V sum = hn::ShiftRight<8>(contexts_.template_sums(n & 15));
      rice_code(hn::ShiftRight<1>(level - set(4)), rice_parameter_of(sum, kRemainderSum), active);
    }
  }

  // dec_abs_level
  void pass3(int i, V coded) {
    for (int n = std::min(16 * i + 15, highest_last_); n >= 16 * i; --n) {
      const V in_block = coded & yes(is_less(set(static_cast<uint32_t>(n)), load(last_)));
      const V active = hn::AndNot(load(in_pass1_[n & 15]), in_block);
      if (!any(active)) continue;
      const V level = load(sizes_[n & 15]);
      const V rice = rice_parameter_of(hn::ShiftRight<8>(contexts_.template_sums(n & 15)), 0);
      const V zero = set(1) << (rice - load(highs_[n & 15]));
      const V is_zero = yes(level == set(0));
      const V word = level + yes(is_less(level, zero + set(1)));  // one less up to `zero`, which stands for 0
      rice_code(choose(is_zero, zero, word), rice, active);
    }
  }

  // coeff_sign_flag of all non-zero coefficients.
  void signs() {
    V flags = set(0), count = set(0);
    for (int n = 15; n >= 0; --n) {
      const V level = load(levels_[n]), is_zero = yes(level == set(0));
      flags = choose(is_zero, flags, flags + flags - sign_of(level));
      count = count + set(1) + is_zero;
    }
    LaneCoder coder = coder_;
    coder.bypass(flags, count);
    settle(coder);
    coder_ = coder;
  }

  const LaneOutput* const* blocks_;
  size_t count_;
  int highest_last_ = 0;
  LaneCoder coder_;
  alignas(64) Row last_;                  // scan position of the last coefficient, or -1
  Row state_high_ = {}, state_low_ = {};  // the two bits of QState
  Row budget_ = {};
  Row range_, pending_ = {};
  alignas(64) uint64_t low_[kN] = {};
  Row levels_[16];  // of the sub-block: TransCoeffLevel
  Row sizes_[16];   // AbsLevel
  Row highs_[16];   // QState > 1
  Row in_pass1_[16];
  LaneContexts contexts_;
};

#endif
}  // namespace

#if LLMC_HAS_LANES

void encode_here(std::span<const LaneOutput> blocks) {
  const LaneOutput* group[kN];
  for (size_t first = 0; first < blocks.size(); first += kN) {
    const size_t count = std::min(blocks.size() - first, kN);
    for (size_t i = 0; i < count; ++i) group[i] = &blocks[first + i];
    if (count >= kFewestLanes) {
      LaneWriter(group, count).write();
    } else {
      for (size_t i = 0; i < count; ++i) encode_alone(*group[i]);
    }
  }
}

#else

void encode_here(std::span<const LaneOutput> blocks) {
  for (const LaneOutput& block : blocks) encode_alone(block);
}

#endif
}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace llmcodec::vvc {

HWY_EXPORT(encode_here);

void encode_residuals_in_scan_order(std::span<const LaneOutput> blocks) {
  HWY_DYNAMIC_DISPATCH(encode_here)(blocks);
}

}  // namespace llmcodec::vvc
#endif
