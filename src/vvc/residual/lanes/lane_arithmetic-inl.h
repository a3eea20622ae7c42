// SPDX-License-Identifier: BSD-3-Clause
// CabacDecoder for several streams at once, one stream in each 32-bit lane.
// Compiled once per instruction set.
//
// `value` is ivlOffset (9 bits) followed by 22 raw bits of the stream; `position` counts the bits used up to
// the last of the nine. A lane has a window of kWindowBytes of its stream in memory and 64 bits of it at hand
// (`high`, `low`), gathered well before they are needed: so a refill waits for no memory.
//
// A lane that does not read a bin gets an interval of width 0 for the less probable value, which changes
// nothing: so there are no branches.
#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "vvc/residual/lanes/lane_contexts-inl.h"

// Highway's include guard: one copy for each instruction set.
#if defined(LLMCODEC_LANE_ARITHMETIC_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LLMCODEC_LANE_ARITHMETIC_INL
#undef LLMCODEC_LANE_ARITHMETIC_INL
#else
#define LLMCODEC_LANE_ARITHMETIC_INL
#endif

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
#if LLMC_HAS_LANES

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
  // Raw bits from the window, which must have started less than 32 bits ago.
  // Those there already are the same.
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
    const V probability = probability_of(states);
    const V lps = hn::ShiftRight<1>(twice_lps_range(probability, range, active));
    const V mps_range = range - lps;
    const V excess = value - hn::ShiftLeft<kRawBits>(mps_range);
    const V is_mps = sign_of(excess);
    value = hn::Min(value, excess);  // a negative one is the greater number
    range = choose(is_mps, mps_range, lps);
    const V shift = renormalising_shift(range);
    range = range << shift;
    value = value << shift;
    position = position + shift;
    const V ones = is_mps ^ (hn::ShiftRight<14>(probability) - set(1));
    states = adapted(states, shifts, ones);
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
