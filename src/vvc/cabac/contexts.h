// SPDX-License-Identifier: BSD-3-Clause
// The adaptive probabilities of CABAC. A context-coded bin is coded with the probability held by one
// `ContextModel`; a `ContextSet` holds all of them for one slice. The names below say which models belong to
// which syntax element: the context of an element is its first index plus the increment ctxInc that
// clause 9.3.4.2 derives.
//
// Example (CabacEncoder& encoder, int slice_qp):
//
//   encoder.contexts() = initial_contexts(slice_qp);           // at the start of a slice (and of a tile)
//   encoder.bin(1, ctx::kTuYCodedFlag);                        // ctxInc 0
//   encoder.bin(0, ctx::kIntraLumaRefIdx + 1);                 // ctxInc 1
//
// Only the elements that luma intra slices of our profile use (docs/vvc-profile.md) are here.
#pragma once

#include <array>
#include <cstdint>

namespace llmcodec::vvc {

// First model of each syntax element; the comment gives the number of models.
// Order is free, sizes are the standard's.
namespace ctx {
inline constexpr int kSplitCuFlag = 0;                                     // 9
inline constexpr int kSplitQtFlag = kSplitCuFlag + 9;                      // 6
inline constexpr int kMttSplitCuVerticalFlag = kSplitQtFlag + 6;           // 5
inline constexpr int kMttSplitCuBinaryFlag = kMttSplitCuVerticalFlag + 5;  // 4
inline constexpr int kIntraLumaRefIdx = kMttSplitCuBinaryFlag + 4;         // 2
inline constexpr int kIntraLumaMpmFlag = kIntraLumaRefIdx + 2;             // 1
inline constexpr int kIntraLumaNotPlanarFlag = kIntraLumaMpmFlag + 1;      // 2
inline constexpr int kCuQpDeltaAbs = kIntraLumaNotPlanarFlag + 2;          // 2
inline constexpr int kTuYCodedFlag = kCuQpDeltaAbs + 2;                    // 4
inline constexpr int kLastSigCoeffXPrefix = kTuYCodedFlag + 4;             // 20, luma
inline constexpr int kLastSigCoeffYPrefix = kLastSigCoeffXPrefix + 20;     // 20, luma
inline constexpr int kSbCodedFlag = kLastSigCoeffYPrefix + 20;             // 2, luma
inline constexpr int kSigCoeffFlag = kSbCodedFlag + 2;          // 3 sets of 12, luma: max(0, QState - 1)
inline constexpr int kParLevelFlag = kSigCoeffFlag + 36;        // 21, luma
inline constexpr int kAbsLevelGt1Flag = kParLevelFlag + 21;     // 21, abs_level_gtx_flag[][0], luma
inline constexpr int kAbsLevelGt3Flag = kAbsLevelGt1Flag + 21;  // 21, abs_level_gtx_flag[][1], luma
inline constexpr int kCount = kAbsLevelGt3Flag + 21;
}  // namespace ctx

// One adaptive probability that the next bin is 1, kept twice: a fast and a slow average. Their sum decides.
// Both in one word, so that one chain of instructions adapts them.
struct alignas(16) ContextModel {
  uint32_t states = 0;  // pStateIdx0, 10 bits, from bit 16 on; pStateIdx1, 14 bits, from bit 0 on
  uint32_t rise = 0;    // 1023 >> shift0 and 16383 >> shift1, likewise
  uint8_t shift0 = 0;   // 2..5: window of 4 to 32 bins
  uint8_t shift1 = 0;   // 5..11

  constexpr int p_state_idx0() const { return static_cast<int>(states >> 16); }
  constexpr int p_state_idx1() const { return static_cast<int>(states & 0xffff); }
  // P(bin = 1) in 2^-15, as the arithmetic coder uses it.
  int probability() const { return 16 * p_state_idx0() + p_state_idx1(); }
  // The slow average alone, likewise: steadier, for decisions that outlast a few bins.
  int slow_probability() const { return 2 * p_state_idx1(); }

  // H.266 9.3.4.3.2.2 State transition process
  void update(int bin) { adapt(0u - static_cast<uint32_t>(bin)); }
  // The same, `ones` having all bits equal to the bin.
  void adapt(uint32_t ones) {
    states = states - ((states >> shift0) & 0xffff0000) - ((states & 0xffff) >> shift1) + (rise & ones);
  }
};

using ContextSet = std::array<ContextModel, ctx::kCount>;

// All models at the start of an I slice. `slice_qp` is SliceQpY, clipped to 0..63 inside.
ContextSet initial_contexts(int slice_qp);

// q of lps_range() for a model's probability(); its MPS is probability >> 14.
constexpr uint32_t lps_index(int probability) {
  return static_cast<uint32_t>((probability >> 14 ? 32767 - probability : probability) >> 9);
}

// Width of the least probable symbol's part of `range` (256..510), for an MPS probability index
// q = 0..31, that is (P of the less probable value, in 2^-15) >> 9.
// H.266 9.3.4.3.2.1 (ivlLpsRange)
constexpr uint32_t lps_range(uint32_t q, uint32_t range) {
  return ((q * (range >> 5)) >> 1) + 4;
}

}  // namespace llmcodec::vvc
