// SPDX-License-Identifier: BSD-3-Clause
// Models and neighbours for read_any_lanes.cc, with the functions of LaneContexts;
// but each lane stands in a block of its own shape, at a sub-block of its own.
// A sub-block of each lane is in a window of vectors, with the two columns right of it and the two rows
// below, which are gathered from what each lane remembers of its block.
//
// Which models a coefficient can choose from depends on its diagonal in the block, so on its position in the
// sub-block and on the diagonal of the sub-block: 0, 1, 2, or more, its class.
#include <hwy/highway.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "vvc/residual/lanes/lane_contexts-inl.h"

#ifndef LLMCODEC_LANE_WINDOWS_TABLES
#define LLMCODEC_LANE_WINDOWS_TABLES
namespace llmcodec::vvc {

inline constexpr int kClasses = 4;

// By position: each class's group of models, and for each set of classes the set of groups.
struct ModelGroups {
  alignas(64) uint32_t sig[16][kMaxLanes] = {};      // sig_offset / 4 by class
  alignas(64) uint32_t greater[16][kMaxLanes] = {};  // greater_offset / 5 by class
  uint8_t sig_groups[16][1 << kClasses] = {};
  uint8_t greater_groups[16][1 << kClasses] = {};
  constexpr ModelGroups() {
    for (int n = 0; n < 16; ++n) {
      for (int c = 0; c < kClasses; ++c) {
        const int diagonal = 4 * c + kSubblockScan.x[n] + kSubblockScan.y[n];
        sig[n][c] = static_cast<uint32_t>(sig_offset_of(diagonal) / 4);
        greater[n][c] = static_cast<uint32_t>(greater_offset_of(diagonal) / 5);
        for (int set = 0; set < 1 << kClasses; ++set) {
          if ((set >> c & 1) == 0) continue;
          sig_groups[n][set] = static_cast<uint8_t>(sig_groups[n][set] | 1 << sig[n][c]);
          greater_groups[n][set] = static_cast<uint8_t>(greater_groups[n][set] | 1 << greater[n][c]);
        }
      }
    }
  }
};
inline constexpr ModelGroups kModelGroups;

}  // namespace llmcodec::vvc
#endif

// Highway's include guard: one copy for each instruction set.
#if defined(LLMCODEC_LANE_WINDOWS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LLMCODEC_LANE_WINDOWS_INL
#undef LLMCODEC_LANE_WINDOWS_INL
#else
#define LLMCODEC_LANE_WINDOWS_INL
#endif

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
#if LLMC_HAS_LANES

class LaneWindows {
 public:
  // copy(states, model) for all models of one lane, but those of a block's last level: CabacDecoder reads
  // that one, and keeps them.
  template <class Copy>
  void exchange(size_t lane, ContextSet& contexts, Copy copy) {
    for (int i = kFirstLaneModel; i < ctx::kCount; ++i)
      if (i != ctx::kParLevelFlag && i != ctx::kAbsLevelGt1Flag && i != ctx::kAbsLevelGt3Flag)
        copy(models_[i - kFirstLaneModel][lane], contexts[static_cast<size_t>(i)]);
  }

  // --- where the lanes stand

  // Before a block of this shape.
  void clear(size_t lane, int log2_width, int log2_height) {
    const size_t columns = (1u << (std::min(log2_width, 5) - 2)) + 1,
                 rows = (1u << (std::min(log2_height, 5) - 2)) + 1;
    for (size_t y = 0; y < rows; ++y)
      std::memset(&records_[lane][y * kRecordStride], 0, columns * sizeof(Record));
  }
  void enter(size_t lane, int x, int y) {
    at_[lane] = static_cast<uint32_t>(lane * kRecords + static_cast<size_t>(y * kRecordStride + x)) *
                static_cast<uint32_t>(sizeof(Record));
    class_[lane] = static_cast<uint32_t>(std::min(x + y, kClasses - 1));
  }

  // The window: the sub-block empty, around it what was read.
  void load_borders() {
    const V zero = set(0);
    for (int y = 0; y < 4; ++y)
      for (int x = 0; x < 4; ++x) put(zero, window_[y * kStride + x]);
    const V at = load(at_);
    const auto border = [&](size_t record, size_t word) HWY_ATTR {
      const V offset = at + set(static_cast<uint32_t>(record * sizeof(Record) + 4 * word));
      return hn::GatherOffset(d, reinterpret_cast<const uint32_t*>(records_), hn::BitCast(di, offset));
    };
    const auto put_pair = [&](V pair, Row16* to) HWY_ATTR {
      put(pair & set(0xffff), to[0]);
      put(hn::ShiftRight<16>(pair), to[1]);
    };
    for (size_t y = 0; y < 4; ++y) put_pair(border(1, 2 * y), window_ + y * kStride + 4);
    for (size_t y = 0; y < 2; ++y)
      for (size_t x = 0; x < 2; ++x)
        put_pair(border(kRecordStride, 2 * y + x), window_ + (4 + y) * kStride + 2 * x);
    put(border(kRecordStride + 1, 0) & set(0xffff), window_[4 * kStride + 4]);
    store(border(1, 8) | border(kRecordStride, 8), neighbour_coded_);
    classes_ = 0;
    for (const uint32_t c : class_) classes_ |= 1u << c;
  }
  // Remembers the window's sub-block.
  void leave_all(V coded) {
    alignas(64) uint32_t rows[4][2][kN];
    alignas(64) Row is_coded;
    store(coded & set(1), is_coded);
    for (int y = 0; y < 4; ++y) {
      const Row16* row = window_ + y * kStride;
      store(get(row[0]) | hn::ShiftLeft<16>(get(row[1])), rows[y][0]);
      store(get(row[2]) | hn::ShiftLeft<16>(get(row[3])), rows[y][1]);
    }
    for (size_t lane = 0; lane < kN; ++lane) {
      auto* words = reinterpret_cast<uint32_t*>(reinterpret_cast<uint8_t*>(records_) + at_[lane]);
      for (size_t i = 0; i < 8; ++i) words[i] = rows[i / 2][i % 2][lane];
      words[8] = is_coded[lane];
    }
  }

  // --- neighbours: levels packed as in level_template.h, by position in the sub-block

  HWY_INLINE V template_sums(int n) const {
    const Row16* at = entry(n);
    const auto row = [at](int i) HWY_ATTR { return hn::Load(d_row16, at[i]); };
    return hn::PromoteTo(d, row(1) + row(2) + row(kStride) + row(kStride + 1) + row(2 * kStride));
  }
  HWY_INLINE V level_at(int n) const { return get(*entry(n)); }
  HWY_INLINE void put_level(int n, V packed) { put(packed, *entry(n)); }
  void put_level(int n, size_t lane, int level) { (*entry(n))[lane] = pack_pass1(level); }

  // --- bins

  // sb_coded_flag where `inner`.
  template <class Engine>
  HWY_INLINE V sb_coded_flag(Engine& engine, V inner) {
    const V csbf = load(neighbour_coded_);
    const M is[2] = {csbf == set(0), csbf == set(1)};
    Row* models = models_ + (ctx::kSbCodedFlag - kFirstLaneModel);
    V states = pick<2>(models, is);
    const V ones = engine.bin(states, look_up(shifts_.sb_coded, csbf), inner);
    put_back<2>(states, models, is, inner != set(0));
    return ones & inner;
  }

  // `sum`: locSumAbsPass1.
  template <class Engine>
  HWY_INLINE V sig_coeff_flag(Engine& engine, int n, V sum, V high, V low, V active) {
    const SigIncrement increment(sum);
    const V index = increment.index(high, low), group = look_up(kModelGroups.sig[n], load(class_));
    const uint32_t groups = kModelGroups.sig_groups[n][classes_];
    V states = set(0), shifts = set(0);
    for (uint32_t g = 0; g < 3; ++g) {
      if ((groups >> g & 1) == 0) continue;
      const M here = group == set(g);
      states = hn::IfThenElse(here, increment.pick_of(sig_models(g), high, low), states);
      shifts = hn::IfThenElse(here, look_up(shifts_.sig[g], index), shifts);
    }
    const V ones = engine.bin(states, shifts, active);
    for (uint32_t g = 0; g < 3; ++g)
      if ((groups >> g & 1) != 0)
        increment.put_back_to(sig_models(g), states, high, low, active & yes(group == set(g)));
    return ones & active;
  }

  // What par_level_flag and both abs_level_gtx_flag of a coefficient share.
  struct Greater {
    uint32_t groups;
    V group;
    GreaterIncrement increment;
  };
  HWY_INLINE Greater greater(int n, V sums) const {
    return {kModelGroups.greater_groups[n][classes_], look_up(kModelGroups.greater[n], load(class_)),
            GreaterIncrement(sums)};
  }
  // kFlag as in LaneShifts, kModel its first one.
  template <int kFlag, int kModel, class Engine>
  HWY_INLINE V greater_flag(Engine& engine, const Greater& g, V active) {
    Row* models = models_ + (kModel - kFirstLaneModel + 1);
    V states = set(0), shifts = set(0);
    for (uint32_t i = 0; i < 4; ++i) {
      if ((g.groups >> i & 1) == 0) continue;
      const M here = g.group == set(i);
      states = hn::IfThenElse(here, pick<5>(models + 5 * i, g.increment.is), states);
      shifts = hn::IfThenElse(here, look_up(shifts_.greater[kFlag][i], g.increment.value), shifts);
    }
    const V ones = engine.bin(states, shifts, active);
    for (uint32_t i = 0; i < 4; ++i)
      if ((g.groups >> i & 1) != 0)
        put_back<5>(states, models + 5 * i, g.increment.is, (active & yes(g.group == set(i))) != set(0));
    return ones & active;
  }

 private:
  static constexpr int kStride = 6;  // of the window
  static constexpr size_t kRecordStride = 9, kRecords = 9 * 9;

  // What a lane remembers of a sub-block.
  struct Record {
    uint16_t levels[16];  // rows
    uint32_t coded;
  };

  static HWY_INLINE V get(const Row16& row) { return hn::PromoteTo(d, hn::Load(d_row16, row)); }
  static HWY_INLINE void put(V values, Row16& row) {
    hn::Store(hn::TruncateTo(d_row16, values), d_row16, row);
  }
  HWY_INLINE Row16* entry(int n) { return window_ + kSubblockScan.y[n] * kStride + kSubblockScan.x[n]; }
  HWY_INLINE const Row16* entry(int n) const {
    return window_ + kSubblockScan.y[n] * kStride + kSubblockScan.x[n];
  }
  Row* sig_models(uint32_t group) {
    return models_ + (ctx::kSigCoeffFlag - kFirstLaneModel + 4 * static_cast<int>(group));
  }

  const LaneShifts& shifts_ = lane_shifts();
  alignas(64) Row models_[kLaneModels] = {};
  alignas(64) Row16 window_[kStride * kStride] = {};
  alignas(64) Row neighbour_coded_ = {};  // 1: the sub-block right of it or below it is coded
  alignas(64) Row at_ = {};               // offset of the sub-block's record
  alignas(64) Row class_ = {};            // of the sub-block
  uint32_t classes_ = 0;                  // bit c: some lane has class c
  Record records_[kMaxLanes][kRecords] = {};
};

#endif  // LLMC_HAS_LANES
}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // include guard
