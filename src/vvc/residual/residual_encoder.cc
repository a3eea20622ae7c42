// SPDX-License-Identifier: BSD-3-Clause
// A writer knows all levels before it starts, so states and packed levels of the whole block come first.
// Then two chains of dependent steps run side by side as long as no branch is mispredicted:
// one through the models, one through the arithmetic coder.
// That is why abs_level_gtx_flag[0] is worked out even where it is not sent.
#include "vvc/residual/residual_encoder.h"

// Compiled twice for x86: shifts by a variable amount cost a third with BMI2, which comes with AVX2.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vvc/residual/residual_encoder.cc"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3 | HWY_AVX3_DL)
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>

#include "vvc/residual/residual_syntax.h"

#undef LLMC_INLINE
#define LLMC_INLINE [[gnu::always_inline]] inline

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
namespace {

// Every step of the arithmetic coder by lps_index() and range, so that the range,
// on which every bin waits for the one before, passes through one look-up a bin:
// range after renormalisation less 256 in bits 0-7, the shift above.
constexpr uint32_t kNothing = 32;  // in place of an lps_index(): no bin
struct Steps {
  uint16_t mps[33][256];  // by range - 256
  uint16_t lps[33][8];    // by bits 5 to 7 of the range
};

constexpr Steps make_steps() {
  Steps steps{};
  for (uint32_t q = 0; q < 32; ++q) {
    for (uint32_t range = 256; range < 512; ++range) {
      const uint32_t left = range - lps_range(q, range);
      steps.mps[q][range - 256] = static_cast<uint16_t>(left < 256 ? (2 * left - 256) | 1u << 8 : left - 256);
    }
    for (uint32_t i = 0; i < 8; ++i) {
      const uint32_t width = lps_range(q, 256 + 32 * i);
      const auto shift = static_cast<uint32_t>(std::countl_zero(width) - 23);
      steps.lps[q][i] = static_cast<uint16_t>(((width << shift) - 256) | shift << 8);
    }
  }
  for (uint32_t i = 0; i < 256; ++i) steps.mps[kNothing][i] = static_cast<uint16_t>(i);
  return steps;
}
constexpr Steps kSteps = make_steps();

// What a bin does to the coder, by its value and bits 9-14 of the model's probability.
struct BinKind {
  uint16_t q;       // lps_index()
  uint16_t is_lps;  // all ones for the less probable value
};
constexpr auto make_bin_kinds() {
  std::array<BinKind, 128> table{};
  for (uint32_t i = 0; i < 128; ++i) {
    const uint32_t probability = i / 2 << 9, value = i & 1, mps = probability >> 14;
    table[i] = {static_cast<uint16_t>(lps_index(static_cast<int>(probability))),
                static_cast<uint16_t>(value == mps ? 0 : 0xffff)};
  }
  return table;
}
constexpr auto kBinKinds = make_bin_kinds();

LLMC_INLINE BinKind kind_of(const ContextModel& model, uint32_t value) {
  return kBinKinds[(static_cast<uint32_t>(model.probability()) >> 9) * 2 + value];
}

// CabacEncoder's state in registers.
class Engine {
 public:
  LLMC_INLINE explicit Engine(CabacEncoder& encoder) : encoder_(encoder), r_(encoder.registers()) {}
  LLMC_INLINE void hand_back() { encoder_.set_registers(r_); }

  LLMC_INLINE void code(uint32_t q, uint32_t is_lps) {
    const uint32_t range = r_.range - 256;
    const uint32_t mps = kSteps.mps[q][range], lps = kSteps.lps[q][range >> 5];
    const uint32_t step = (mps & ~is_lps) | (lps & is_lps);  // a branch would often be mispredicted
    const uint32_t shift = step >> 8, width = (step & 255) + 256;
    const uint64_t above = (uint64_t{r_.range} << shift) - width;
    r_.low = (r_.low << shift) + (above & (0u - uint64_t{is_lps & 1}));
    r_.range = width;
    r_.pending += static_cast<int>(shift);
    if (r_.pending >= 32) [[unlikely]]
      r_ = encoder_.move_out(r_);
  }
  // As CabacEncoder::bin().
  LLMC_INLINE void bin(ContextModel& model, uint32_t value) {
    const BinKind kind = kind_of(model, value);
    model.adapt(0u - value);
    code(kind.q, kind.is_lps);
  }
  // The same if `sent` is 1; with 0, nothing, at the same pace. The model must be a spare one then.
  LLMC_INLINE void bin_if(uint32_t sent, ContextModel& model, uint32_t value) {
    const BinKind kind = kind_of(model, value);
    model.adapt(0u - value);
    code(sent ? kind.q : kNothing, kind.is_lps & (0u - sent));
  }
  // count <= 22
  LLMC_INLINE void bypass(uint32_t value, int count) {
    r_.low = (r_.low << count) + uint64_t{r_.range} * value;
    r_.pending += count;
    if (r_.pending >= 32) r_ = encoder_.move_out(r_);
  }

 private:
  CabacEncoder& encoder_;
  CabacEncoder::Registers r_;
};

// Bypass bins of a sub-block, handed over many at a time.
class BypassBins {
 public:
  LLMC_INLINE explicit BypassBins(Engine& engine) : engine_(engine) {}
  LLMC_INLINE ~BypassBins() { flush(); }

  // count <= 17
  LLMC_INLINE void put(uint32_t value, int count) {
    if (count_ + count > 22) flush();
    bits_ = bits_ << count | value;
    count_ += count;
  }
  // As rice_code() of rice.h.
  LLMC_INLINE void rice_code(int value, int rice) {
    const int prefix = value >> rice;
    if (prefix > kRicePrefixes) [[unlikely]]
      return escape(value, rice);
    put((((2u << prefix) - 2) << rice) | (static_cast<uint32_t>(value) & ((1u << rice) - 1)),
        prefix + 1 + rice);
  }

 private:
  void escape(int value, int rice) {
    const int prefix = rice_prefix(value, rice), suffix_bits = rice_suffix_bits(prefix, rice);
    put((1u << prefix) - 1, prefix);
    if (prefix < kMaxRicePrefix) put(0, 1);
    put(static_cast<uint32_t>(value - rice_base(prefix, rice)) & ((1u << suffix_bits) - 1), suffix_bits);
  }
  LLMC_INLINE void flush() {
    engine_.bypass(bits_, count_);
    bits_ = 0;
    count_ = 0;
  }
  Engine& engine_;
  uint32_t bits_ = 0;
  int count_ = 0;
};

class BlockWriter {
 public:
  LLMC_INLINE BlockWriter(CabacEncoder& bins, int log2_width, int log2_height, const int32_t* levels,
                          int last)
      : bins_(bins),
        models_(bins.contexts().data()),
        scan_(scan_order(log2_width, log2_height)),
        levels_(levels),
        last_(last),
        rows_(1 << std::min(log2_height, 5)),
        budget_(context_bin_budget(log2_width, log2_height)) {}

  void write() {
    walk_states();
    add_templates();
    Engine engine(bins_);
    for (int i = last_ >> 4; i >= 0; --i)
      if (sb_coded_flag(engine, i)) subblock(engine, i);
    engine.hand_back();
  }

 private:
  // AbsLevel and QState of every coefficient, and the block's packed levels.
  void walk_states() {
    int state = 0;
    for (int n = last_; n >= 0; --n) {
      const int level = (std::abs(levels_[n]) + (state >> 1)) >> 1;
      abs_[n] = static_cast<uint16_t>(level);
      states_[n] = static_cast<uint8_t>(state);
      packed_[scan_[n].padded] = packed_level(level);
      state = next_state(state, level & 1);
    }
  }
  // Five neighbours of every coefficient: no one has to wait for another, so in vectors.
  LLMC_INLINE void add_templates() {
    const int end = rows_ * kPaddedStride;
    for (int i = 0; i < end; ++i) sums_[i] = static_cast<uint16_t>(template_sum(packed_ + i));
  }
  unsigned sums_of(int n) const { return sums_[scan_[n].padded]; }

  LLMC_INLINE bool sb_coded_flag(Engine& engine, int i) {
    const int x = scan_.subblock_x[i], y = scan_.subblock_y[i];
    bool coded = true;
    if (i != last_ >> 4 && i != 0) {
      const int csbf = static_cast<int>((sb_coded_[y] >> (x + 1) & 1) | (sb_coded_[y + 1] >> x & 1));
      int any = 0;
      for (int n = 16 * i; n < 16 * i + 16; ++n) any |= abs_[n];
      coded = any != 0;
      engine.bin(models_[ctx::kSbCodedFlag + csbf], coded);
    }
    sb_coded_[y] = static_cast<uint16_t>(sb_coded_[y] | static_cast<unsigned>(coded) << x);
    return coded;
  }

  LLMC_INLINE void subblock(Engine& engine, int i) {
    const int first = 16 * i, top = std::min(first + 15, last_);
    int n = top;
    // Inferred to be significant: the last level of the block, and position 0 of a sub-block without others.
    bool any = false;
    if (n == last_) {
      pass1(engine, n--, true);
      any = true;
    }
    for (; n > first && budget_ >= 4; --n) any |= pass1(engine, n, false);
    if (n == first && budget_ >= 4) pass1(engine, n--, i > 0 && !any);
    BypassBins bypass(engine);
    for (int m = top; m > n; --m)
      if (abs_[m] >= 4) remainder(bypass, m);
    for (; n >= first; --n) without_contexts(bypass, n);
    signs(bypass, first, top);
  }

  // sig_coeff_flag, abs_level_gtx_flag[0], par_level_flag, abs_level_gtx_flag[1]. True for a level.
  LLMC_INLINE bool pass1(Engine& engine, int n, bool sig_inferred) {
    const ScanEntry& place = scan_[n];
    const TemplateIncrements increments = kTemplateIncrements[sums_of(n) & 255];
    const unsigned level = abs_[n];
    const unsigned significant = level > 0, above_1 = level > 1;
    if (!sig_inferred) {
      const int inc = kSigSet[states_[n]] + place.sig_offset + increments.sig;
      engine.bin(models_[ctx::kSigCoeffFlag + inc], significant);
      --budget_;
    }
    const int inc = n == last_ ? 0 : place.greater_offset + increments.greater;
    ContextModel& gt1 = significant ? models_[ctx::kAbsLevelGt1Flag + inc] : spare_;
    engine.bin_if(significant, gt1, above_1);
    budget_ -= static_cast<int>(significant + 2 * above_1);
    if (above_1 != 0) {
      engine.bin(models_[ctx::kParLevelFlag + inc], level & 1);
      engine.bin(models_[ctx::kAbsLevelGt3Flag + inc], level > 3);
    }
    return significant != 0;
  }

  LLMC_INLINE void remainder(BypassBins& bypass, int n) {
    const int rice = rice_parameter(static_cast<int>(sums_of(n) >> 8) - kRemainderSum);
    bypass.rice_code((abs_[n] - 4) >> 1, rice);
  }

  LLMC_INLINE void without_contexts(BypassBins& bypass, int n) {
    const int rice = rice_parameter(static_cast<int>(sums_of(n) >> 8));
    const int zero = zero_position(states_[n], rice), level = abs_[n];
    bypass.rice_code(level == 0 ? zero : level <= zero ? level - 1 : level, rice);
  }

  LLMC_INLINE void signs(BypassBins& bypass, int first, int top) {
    uint32_t bits = 0;
    int count = 0;
    for (int n = top; n >= first; --n) {
      const unsigned significant = abs_[n] != 0;
      bits = bits << significant | (static_cast<uint32_t>(levels_[n]) >> 31 & significant);
      count += static_cast<int>(significant);
    }
    bypass.put(bits, count);
  }

  CabacEncoder& bins_;
  ContextModel* models_;
  const ScanOrder& scan_;
  const int32_t* levels_;
  int last_;
  int rows_;
  int budget_;
  ContextModel spare_;         // takes what is not sent
  uint16_t sb_coded_[9] = {};  // one bit per sub-block, rows of the block
  uint16_t abs_[1024];
  uint8_t states_[1024];
  uint16_t packed_[kPaddedSize] = {};
  uint16_t sums_[32 * kPaddedStride];  // template sums
};

}  // namespace

void encode_here(CabacEncoder& bins, int log2_width, int log2_height, const int32_t* levels, int last) {
  BlockWriter(bins, log2_width, log2_height, levels, last).write();
}

}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace llmcodec::vvc {

HWY_EXPORT(encode_here);

void encode_residual_in_scan_order(CabacEncoder& bins, int log2_width, int log2_height, const int32_t* levels,
                                   int last) {
  last_sig_coeff(bins, last, log2_width, log2_height);
  HWY_DYNAMIC_DISPATCH(encode_here)(bins, log2_width, log2_height, levels, last);
}

}  // namespace llmcodec::vvc
#endif
