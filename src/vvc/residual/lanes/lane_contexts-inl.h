// SPDX-License-Identifier: BSD-3-Clause
// Vectors of one stream in each 32-bit lane, and the context models of those streams: which model a bin
// takes, and what it depends on. Compiled once per instruction set.
//
// An `Engine` codes the bin itself: `V bin(V& states, V shifts, V active)` adapts `states` by the bin's value
// where `active` and returns all ones for 1.
#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "vvc/residual/lanes/lane_models.h"
#include "vvc/residual/level_template.h"
#include "vvc/residual/rice.h"
#include "vvc/residual/scan.h"

// Highway's include guard: one copy for each instruction set.
#if defined(LLMCODEC_LANE_CONTEXTS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LLMCODEC_LANE_CONTEXTS_INL
#undef LLMCODEC_LANE_CONTEXTS_INL
#else
#define LLMCODEC_LANE_CONTEXTS_INL
#endif

// Below 8 lanes there is little to win.
#undef LLMC_HAS_LANES
#if HWY_ARCH_X86 && HWY_TARGET <= HWY_AVX2
#define LLMC_HAS_LANES 1
#else
#define LLMC_HAS_LANES 0
#endif

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
#if LLMC_HAS_LANES
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<uint32_t, kMaxLanes>;
using V = hn::Vec<D>;  // numbers, or all ones and all zeros for yes and no
using M = hn::Mask<D>;
constexpr D d;
constexpr hn::RebindToSigned<D> di;
constexpr hn::RebindToFloat<D> df;
constexpr hn::Repartition<uint16_t, D> d16;
constexpr hn::Repartition<int16_t, D> di16;
constexpr hn::Repartition<uint8_t, D> d8;
constexpr size_t kN = hn::MaxLanes(D());
using Row = uint32_t[kN];
using Row16 = uint16_t[kN];
constexpr hn::Rebind<uint16_t, D> d_row16;

HWY_INLINE V set(uint32_t value) {
  return hn::Set(d, value);
}
HWY_INLINE V load(const uint32_t* from) {
  return hn::Load(d, from);
}
HWY_INLINE void store(V v, uint32_t* to) {
  hn::Store(v, d, to);
}
HWY_INLINE V yes(M mask) {
  return hn::VecFromMask(d, mask);
}
HWY_INLINE bool any(V yes_or_no) {
  return !hn::AllFalse(d, yes_or_no != set(0));
}
HWY_INLINE M is_less(V a, V b) {  // both below 2^31 or negative
  return hn::RebindMask(d, hn::BitCast(di, a) < hn::BitCast(di, b));
}
HWY_INLINE V choose(V yes_or_no, V a, V b) {
  return hn::IfVecThenElse(yes_or_no, a, b);
}
HWY_INLINE V sign_of(V v) {
  return hn::BitCast(d, hn::BroadcastSignBit(hn::BitCast(di, v)));
}
// a.low * b.low + a.high * b.high + sum, halves being signed 16-bit numbers.
HWY_INLINE V multiply_add(V a, V b, V sum) {
  auto unused = hn::Zero(di);
  return hn::BitCast(d, hn::ReorderWidenMulAccumulate(di, hn::BitCast(di16, a), hn::BitCast(di16, b),
                                                      hn::BitCast(di, sum), unused));
}
// 127 + floor(log2(v)), 0 < v < 2^24.
HWY_INLINE V exponent(V v) {
  return hn::ShiftRight<23>(hn::BitCast(d, hn::ConvertTo(df, hn::BitCast(di, v))));
}
// Both 16-bit halves shifted right by those of `counts`.
HWY_INLINE V shift_halves(V v, V counts) {
#if HWY_TARGET == HWY_AVX2
  const V low = set(0xffff);
  return hn::AndNot(low, v >> hn::ShiftRight<16>(counts)) | ((v & low) >> (counts & low));
#else
  return hn::BitCast(d, hn::BitCast(d16, v) >> hn::BitCast(d16, counts));
#endif
}
// Entry `index` (< 16) of the table, in each lane.
HWY_INLINE V look_up(const uint32_t (&table)[kMaxLanes], V index) {
#if HWY_TARGET == HWY_AVX2
  const auto indices = hn::IndicesFromVec(d, index & set(7));
  return hn::IfThenElse(is_less(set(7), index), hn::TableLookupLanes(load(table + kN), indices),
                        hn::TableLookupLanes(load(table), indices));
#else
  return hn::TableLookupLanes(load(table), hn::IndicesFromVec(d, index));
#endif
}

// Adapts both averages of the models by a bin.
HWY_INLINE V adapted(V states, V shifts, V ones) {
  return states - shift_halves(states, shifts) + (shift_halves(set(0x03ff3fff), shifts) & ones);
}
// probability() of the models.
HWY_INLINE V probability_of(V states) {
  return multiply_add(states, set(16u << 16 | 1), set(0));
}
// Twice lps_range(), or 0 where not `active`: an interval without width changes nothing.
HWY_INLINE V twice_lps_range(V probability, V range, V active) {
  const V p = hn::ShiftRight<9>(probability), q = hn::Min(p, set(63) - p);
  return multiply_add(q, hn::ShiftRight<5>(range), set(8)) & active;
}
// How far a range is shifted to lie in 256..511 again.
HWY_INLINE V renormalising_shift(V range) {
  return set(127 + 8) - exponent(range);
}

// QState by its two bits; next_state() where `active`.
HWY_INLINE void step_state(V odd, V active, V& high, V& low) {
  const V next_high = low ^ odd;
  low = choose(active, high, low);
  high = choose(active, next_high, high);
}

// rice_parameter(sum - less)
HWY_INLINE V rice_parameter_of(V sum, int less) {
  V rice = set(0);
  for (const int threshold : kRiceThresholds)
    rice = rice - yes(is_less(set(static_cast<uint32_t>(less + threshold - 1)), sum));
  return rice;
}

// One of kCount models, by `is`. Rows are loaded and stored whole: masked stores would not be forwarded to
// the next coefficient's loads.
template <int kCount>
HWY_INLINE V pick(const Row* models, const M* is) {
  V states = load(models[0]);
  for (int i = 1; i < kCount; ++i) states = hn::IfThenElse(is[i], load(models[i]), states);
  return states;
}
template <int kCount>
HWY_INLINE void put_back(V states, Row* models, const M* is, M where) {
  for (int i = 0; i < kCount; ++i)
    store(hn::IfThenElse(hn::And(is[i], where), states, load(models[i])), models[i]);
}

// ctxInc of par_level_flag and abs_level_gtx_flag but for what the place adds, and which of the five it is.
struct GreaterIncrement {
  explicit HWY_INLINE GreaterIncrement(V sums)
      : value(hn::Min((sums & set(31)) - (hn::ShiftRight<5>(sums) & set(7)), set(4))) {
    for (uint32_t i = 0; i < 5; ++i) is[i] = value == set(i);
  }
  V value;
  M is[5];
};
// ctxInc of sig_coeff_flag likewise: `sum` is locSumAbsPass1.
struct SigIncrement {
  explicit HWY_INLINE SigIncrement(V sum) : value(hn::Min(hn::ShiftRight<1>(sum + set(1)), set(3))) {
    for (uint32_t i = 0; i < 4; ++i) is[i] = value == set(i);
  }
  // By QState, for LaneShifts.
  HWY_INLINE V index(V high, V low) const { return value + (high & set(4)) + (high & low & set(4)); }
  // Of the 3 * 4 models of a place those of each lane's QState.
  HWY_INLINE V pick_of(const Row* models, V high, V low) const {
    return choose(high, choose(low, pick<4>(models + 24, is), pick<4>(models + 12, is)), pick<4>(models, is));
  }
  HWY_INLINE void put_back_to(Row* models, V states, V high, V low, V where) const {
    put_back<4>(states, models, is, hn::AndNot(high, where) != set(0));
    put_back<4>(states, models + 12, is, hn::AndNot(low, where & high) != set(0));
    put_back<4>(states, models + 24, is, (where & high & low) != set(0));
  }
  V value;
  M is[4];
};

// For exchange(): a lane's models from the plain coder's, and back.
constexpr auto kTakeModel = [](uint32_t& states, const ContextModel& model) { states = model.states; };
constexpr auto kHandBackModel = [](const uint32_t& states, ContextModel& model) { model.states = states; };

// Models and neighbours of one 32x32 block in each lane; all lanes stand in the same sub-block.
class LaneContexts {
 public:
  // copy(states, model) for all models of one lane.
  template <class Copy>
  void exchange(size_t lane, ContextSet& contexts, Copy copy) {
    ContextModel* models = contexts.data() + kFirstLaneModel;
    for (int i = 0; i < kLaneModels; ++i) copy(models_[i][lane], models[i]);
  }

  // Sub-block `i` in scan order: what follows speaks of it.
  void enter(int i) {
    subblock_ = i;
    places_ = &scan_[16 * i];
  }

  // --- neighbours: levels packed as in level_template.h, by position in the sub-block

  HWY_INLINE V template_sums(int n) const {
    const Row16* at = levels_ + places_[n].padded;
    const auto row = [at](int i) HWY_ATTR { return hn::Load(d_row16, at[i]); };
    return hn::PromoteTo(
        d, row(1) + row(2) + row(kPaddedStride) + row(kPaddedStride + 1) + row(2 * kPaddedStride));
  }
  HWY_INLINE V level_at(int n) const {
    return hn::PromoteTo(d, hn::Load(d_row16, levels_[places_[n].padded]));
  }
  HWY_INLINE void put_level(int n, V packed) {
    hn::Store(hn::TruncateTo(d_row16, packed), d_row16, levels_[places_[n].padded]);
  }
  void put_level(int n, size_t lane, int level) { levels_[places_[n].padded][lane] = pack_pass1(level); }

  // --- bins

  // sb_coded_flag where `inner`: between position 0's sub-block and the last one's.
  template <class Engine>
  HWY_INLINE V sb_coded_flag(Engine& engine, V inner) {
    const int x = scan_.subblock_x[subblock_], y = scan_.subblock_y[subblock_];
    const V right = hn::ShiftRightSame(load(sb_coded_[y]), x + 1),
            below = hn::ShiftRightSame(load(sb_coded_[y + 1]), x);
    const V csbf = (right | below) & set(1);
    const M is[2] = {csbf == set(0), csbf == set(1)};
    Row* models = models_ + (ctx::kSbCodedFlag - kFirstLaneModel);
    V states = pick<2>(models, is);
    const V ones = engine.bin(states, look_up(shifts_.sb_coded, csbf), inner);
    put_back<2>(states, models, is, inner != set(0));
    return ones & inner;
  }
  void set_coded(V coded) {
    Row& row = sb_coded_[scan_.subblock_y[subblock_]];
    store(load(row) | (coded & set(1u << scan_.subblock_x[subblock_])), row);
  }

  // `sum`: locSumAbsPass1.
  template <class Engine>
  HWY_INLINE V sig_coeff_flag(Engine& engine, int n, V sum, V high, V low, V active) {
    const int offset = places_[n].sig_offset;
    const SigIncrement increment(sum);
    Row* models = models_ + (ctx::kSigCoeffFlag - kFirstLaneModel + offset);
    V states = increment.pick_of(models, high, low);
    const V ones = engine.bin(states, look_up(shifts_.sig[offset / 4], increment.index(high, low)), active);
    increment.put_back_to(models, states, high, low, active);
    return ones & active;
  }

  // What par_level_flag and both abs_level_gtx_flag of a coefficient share.
  struct Greater {
    int offset;
    GreaterIncrement increment;
  };
  HWY_INLINE Greater greater(int n, V sums) const {
    return {places_[n].greater_offset, GreaterIncrement(sums)};
  }
  // kFlag as in LaneShifts, kModel its first one.
  template <int kFlag, int kModel, class Engine>
  HWY_INLINE V greater_flag(Engine& engine, const Greater& g, V active) {
    Row* models = models_ + (kModel - kFirstLaneModel + g.offset);
    V states = pick<5>(models, g.increment.is);
    const V ones =
        engine.bin(states, look_up(shifts_.greater[kFlag][g.offset / 5], g.increment.value), active);
    put_back<5>(states, models, g.increment.is, active != set(0));
    return ones & active;
  }

 private:
  const ScanOrder& scan_ = scan_order(5, 5);
  int subblock_ = 0;
  const ScanEntry* places_ = &scan_[0];
  const LaneShifts& shifts_ = lane_shifts();
  alignas(64) Row models_[kLaneModels] = {};
  Row sb_coded_[9] = {};  // one bit per sub-block
  alignas(64) Row16 levels_[kPaddedSize] = {};
};

#endif  // LLMC_HAS_LANES
}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // include guard
