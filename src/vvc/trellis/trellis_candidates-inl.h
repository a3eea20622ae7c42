// SPDX-License-Identifier: BSD-3-Clause
// Vector types of trellis_lanes.cc, and what can be said of a coefficient before its neighbours are known:
// the levels that come into question, their distortions and the lengths of their bypass codes. Compiled once
// per instruction set.
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "vvc/residual/level_template.h"
#include "vvc/residual/rice.h"
#include "vvc/trellis/trellis_lanes.h"

// Highway's include guard: one copy for each instruction set.
#if defined(LLMCODEC_TRELLIS_CANDIDATES_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LLMCODEC_TRELLIS_CANDIDATES_INL
#undef LLMCODEC_TRELLIS_CANDIDATES_INL
#else
#define LLMCODEC_TRELLIS_CANDIDATES_INL
#endif

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
#if HWY_TARGET != HWY_SCALAR
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<uint16_t, kTrellisLanes>;
using V = hn::Vec<D>;
using M = hn::Mask<D>;
using D8 = hn::Repartition<uint8_t, D>;
constexpr D d;
constexpr D8 d8;
constexpr size_t kN = hn::MaxLanes(D());

HWY_INLINE V set(int value) {
  return hn::Set(d, static_cast<uint16_t>(value));
}
HWY_INLINE V load(const uint16_t* from) {
  return hn::Load(d, from);
}

// Structs of vectors have written constructors: g++ compiles implied ones without the instruction set, and
// then refuses to inline those of Highway's NEON vectors.
struct Candidate {
  HWY_INLINE Candidate() {}
  V level, packed, category, distortion;
  V base;  // distortion and abs_remainder with Rice parameter 0
};

// Code lengths (2^-8 bit) of the candidates with every Rice parameter, made when first needed.
struct Lengths {
  HWY_INLINE Lengths() {}
  bool has_remainders = false, has_bypass = false;
  V remainder[2][2][4];  // by quantiser, parity
  V bypass[2][2][4];
};

struct Candidates {
  HWY_INLINE Candidates() {}
  Candidate of[2][2];  // by quantiser, parity
  V zero;              // distortion
  bool large;          // some level has a remainder
  Lengths lengths;
};

// rice_length(value, kRice) << 8, for values below 128.
template <int kRice>
HWY_INLINE V rice_length_of(V value) {
  const V prefix = hn::ShiftRight<kRice>(value);
  V length = prefix + set(1 + kRice);
  const M escape = prefix > set(kRicePrefixes);
  if (HWY_UNLIKELY(!hn::AllFalse(d, escape))) {
    V log2 = set(0);  // floor(log2(prefix - 4)) - 1
    for (const int below : {7, 11, 19, 35, 67}) log2 = log2 - hn::VecFromMask(d, prefix > set(below));
    length = hn::IfThenElse(escape, set(8 + kRice) + log2 + log2, length);
  }
  return hn::ShiftLeft<8>(length);
}

HWY_INLINE V by_rice(const V* of, V rice) {
  V v = hn::IfThenElse(rice == set(1), of[1], of[0]);
  v = hn::IfThenElse(rice == set(2), of[2], v);
  return hn::IfThenElse(rice == set(3), of[3], v);
}

// rice_parameter()
HWY_INLINE V rice_of(V sum) {
  V rice = set(0);
  for (const int threshold : kRiceThresholds) rice = rice - hn::VecFromMask(d, sum > set(threshold - 1));
  return rice;
}

HWY_INLINE V by_state(V state, V s0, V s1, V s2, V s3) {
  V v = hn::IfThenElse(state == set(1), s1, s0);
  v = hn::IfThenElse(state == set(2), s2, v);
  return hn::IfThenElse(state == set(3), s3, v);
}

// 16-bit entry `index` (0..15) of a table of low and of high bytes.
HWY_INLINE V look_up(const uint8_t table[2][16], V index) {
  const auto low =
      hn::TableLookupBytesOr0(hn::LoadDup128(d8, table[0]), hn::BitCast(d8, index | set(0x8000)));
  const auto high = hn::TableLookupBytesOr0(hn::LoadDup128(d8, table[1]),
                                            hn::BitCast(d8, hn::ShiftLeft<8>(index) | set(0x80)));
  return hn::BitCast(d, low | high);
}

template <int kRice>
HWY_INLINE V remainder_length(V level) {
  return hn::IfThenElseZero(level > set(3),
                            rice_length_of<kRice>(hn::ShiftRight<1>(hn::SaturatedSub(level, set(4)))));
}
// dec_abs_level: the code word of zero stands at (1 + quantiser) << kRice.
template <int kRice>
HWY_INLINE V bypass_length(V level, int quantiser) {
  const M below = level < set(((1 + quantiser) << kRice) + 1);
  return rice_length_of<kRice>(level + hn::VecFromMask(d, below)) + set(kRateBit);
}

// min(65535, distance^2 / lambda), as Trellis has it.
class Distortion {
 public:
  // 2^16 / lambda, below 2^20.
  explicit Distortion(uint32_t inverse_lambda)
      : whole_(set(static_cast<int>(inverse_lambda >> 16))),
        fraction_(set(static_cast<int>(inverse_lambda & 0xffff))),
        largest_(set(static_cast<int>(65535 / std::max(inverse_lambda >> 16, 1u)))) {}

  // Of values in 2^-8 steps.
  HWY_INLINE V operator()(V a, V b) const {
    const V distance = hn::Min(hn::SaturatedSub(a, b) | hn::SaturatedSub(b, a), set(4095));
    const V scaled = hn::ShiftLeft<4>(distance);
    const V squared = hn::MulHigh(scaled, scaled);
    const V sum = hn::SaturatedAdd(squared * whole_, hn::MulHigh(squared, fraction_));
    return hn::VecFromMask(d, squared > largest_) | sum;
  }

 private:
  V whole_, fraction_, largest_;
};

HWY_INLINE Candidate candidate(const Distortion& distortion, V magnitude, V level, V index, int parity) {
  Candidate c;
  c.level = level;
  const V in_pass1 = hn::Min(level, set(4 + parity));
  c.packed = hn::ShiftLeft<8>(hn::Min(level, set(kFullLevelClip))) | set(32) | in_pass1;
  c.category = parity == 0 ? hn::ShiftRight<2>(in_pass1) : hn::ShiftRight<1>(in_pass1);
  c.distortion = distortion(magnitude, hn::ShiftLeft<8>(index));
  c.base = c.distortion;
  return c;
}

// The nearest non-zero levels of each quantiser and parity.
HWY_INLINE void find_candidates(const Distortion& distortion, V m, Candidates& c) {
  const V even = hn::Max(hn::ShiftRight<10>(m + set(512)), set(1));
  const V q0_odd = hn::ShiftRight<10>(m), q1_odd = hn::ShiftRight<10>(m + set(256)),
          q1_even = hn::ShiftRight<10>(hn::SaturatedSub(m, set(256)));
  const auto doubled = [](V v, int plus) HWY_ATTR { return hn::ShiftLeft<1>(v) + set(plus); };
  const auto index = [](V v, int plus) HWY_ATTR { return hn::ShiftLeft<2>(v) + set(plus); };
  c.of[0][0] = candidate(distortion, m, doubled(even, 0), index(even, 0), 0);
  c.of[0][1] = candidate(distortion, m, doubled(q0_odd, 1), index(q0_odd, 2), 1);
  c.of[1][1] = candidate(distortion, m, doubled(q1_odd, 1), index(q1_odd, 1), 1);
  c.of[1][0] = candidate(distortion, m, doubled(q1_even, 2), index(q1_even, 3), 0);
  c.zero = distortion(m, set(0));
  c.lengths.has_remainders = c.lengths.has_bypass = false;
  const V highest = hn::Max(c.of[0][0].level, c.of[1][0].level);
  c.large = !hn::AllTrue(d, hn::Max(highest, c.of[0][1].level) < set(4));
  if (!c.large) return;
  for (auto& quantiser : c.of)
    for (Candidate& each : quantiser)
      each.base = hn::SaturatedAdd(each.distortion, remainder_length<0>(each.level));
}

HWY_NOINLINE void make_remainders(Candidates& c) {
  c.lengths.has_remainders = true;
  for (int q = 0; q < 2; ++q)
    for (int parity = 0; parity < 2; ++parity) {
      V* out = c.lengths.remainder[q][parity];
      const V level = c.of[q][parity].level;
      out[0] = remainder_length<0>(level);
      out[1] = remainder_length<1>(level);
      out[2] = remainder_length<2>(level);
      out[3] = remainder_length<3>(level);
    }
}
HWY_NOINLINE void make_bypass(Candidates& c) {
  c.lengths.has_bypass = true;
  for (int q = 0; q < 2; ++q)
    for (int parity = 0; parity < 2; ++parity) {
      V* out = c.lengths.bypass[q][parity];
      const V level = c.of[q][parity].level;
      out[0] = bypass_length<0>(level, q);
      out[1] = bypass_length<1>(level, q);
      out[2] = bypass_length<2>(level, q);
      out[3] = bypass_length<3>(level, q);
    }
}

#endif
}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
