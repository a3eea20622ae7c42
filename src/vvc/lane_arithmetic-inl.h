// SPDX-License-Identifier: BSD-3-Clause
// CabacDecoder for several streams at once, one stream in each 32-bit lane. Compiled once per instruction
// set.
//
// `value` is ivlOffset (9 bits) followed by 22 raw bits of the stream; `position` counts the bits used up to
// the last of the nine. A lane has a window of kWindowBytes of its stream in memory and 64 bits of it at hand
// (`high`, `low`), gathered well before they are needed: so a refill waits for no memory.
//
// What a lane does not have (a bin that it does not read) has an interval of width 0 for the less probable
// value and changes nothing: there are no branches.
#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "vvc/lane_models.h"

// Highway's include guard: one copy for each instruction set.
#if defined(LLMCODEC_LANE_ARITHMETIC_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LLMCODEC_LANE_ARITHMETIC_INL
#undef LLMCODEC_LANE_ARITHMETIC_INL
#else
#define LLMCODEC_LANE_ARITHMETIC_INL
#endif

// Below 8 lanes there is nothing to win.
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

constexpr int kRawBits = 22;
constexpr size_t kWindowBytes = 256;

struct Arithmetic {
  V value, range, position;
  V window_start;  // of `high` and `low`: position at the last gather(), rounded down to a byte
  V high, low;
  const uint8_t* bytes;  // [lane][kWindowBytes]

  HWY_INLINE void gather() {
    alignas(64) static constexpr uint8_t kSwap[16] = {3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12};
    const auto swap = hn::LoadDup128(d8, kSwap);
    const auto at = hn::BitCast(di, hn::ShiftRight<3>(position) + hn::Iota(d, 0) * set(kWindowBytes));
    const auto* base = reinterpret_cast<const uint32_t*>(bytes);
    const auto swapped = [&](const uint32_t* from) HWY_ATTR {
      return hn::BitCast(d, hn::TableLookupBytes(hn::BitCast(d8, hn::GatherOffset(d, from, at)), swap));
    };
    high = swapped(base);
    low = hn::ShiftRight<1>(swapped(base + 1));
    window_start = position & set(~7u);
  }
  // Raw bits from the window, which must have started less than 32 bits ago. Those there already are the
  // same.
  HWY_INLINE void top_up() {
    const V used = position - window_start;
    value = value | hn::ShiftRight<32 - kRawBits>(high << used | low >> (used ^ set(31)));
  }
  // Between two calls at most four context bins (24 bits) or 15 bypass bins.
  HWY_INLINE void refill() {
    top_up();
    gather();
  }

  // One context bin where `active`: all ones for 1; elsewhere anything. The model must be put back only where
  // active. As CabacDecoder::bin().
  HWY_INLINE V bin(V& states, V shifts, V active) {
    const V probability = multiply_add(states, set(16u << 16 | 1), set(0));
    const V p = hn::ShiftRight<9>(probability);
    const V q = hn::Min(p, set(63) - p);
    const V lps = hn::ShiftRight<1>(multiply_add(q, hn::ShiftRight<5>(range), set(8)) & active);
    const V mps_range = range - lps;
    const V excess = value - hn::ShiftLeft<kRawBits>(mps_range);
    const V is_mps = sign_of(excess);
    value = hn::Min(value, excess);  // a negative one is the greater number
    range = choose(is_mps, mps_range, lps);
    const V shift = set(127 + 8) - exponent(range);
    range = range << shift;
    value = value << shift;
    position = position + shift;
    const V ones = is_mps ^ (hn::ShiftRight<14>(probability) - set(1));
    states = states - shift_halves(states, shifts) + (shift_halves(set(0x03ff3fff), shifts) & ones);
    return ones;
  }

  // The next kCount (<= 15) bypass bins, not yet taken. The quotient is exact: below 2^15, and further below
  // the next whole number than floats round.
  template <int kCount>
  HWY_INLINE V peek() const {
    const auto dividend = hn::ConvertTo(df, hn::BitCast(di, hn::ShiftRight<kRawBits - kCount>(value)));
    return hn::BitCast(d, hn::ConvertTo(di, dividend / hn::ConvertTo(df, hn::BitCast(di, range))));
  }
  // Takes the first `used` of the kCount bins that peek() returned.
  template <int kCount>
  HWY_INLINE void take(V bins, V used) {
    const V taken = multiply_add(bins >> (set(kCount) - used), range, set(0));
    value = (value - (taken << (set(kRawBits) - used))) << used;
    position = position + used;
  }
};

#endif  // LLMC_HAS_LANES
}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // include guard
