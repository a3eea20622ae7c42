// SPDX-License-Identifier: BSD-3-Clause
// How it gains on the template: the arithmetic decoder lives in local variables; its window is left-aligned,
// so that a context bin shifts by constants; bypass bins are taken sixteen at a time and parsed from a plain
// bit window, what is left over is handed back; contexts of a coefficient come from one table look-up.
#include "vvc/residual/residual_decoder.h"

// Compiled twice for x86: shifts by a variable amount cost a third with BMI2, which comes with AVX2.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vvc/residual/residual_decoder.cc"
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SSE4 | HWY_AVX3 | HWY_AVX3_DL)
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#define LLMC_INLINE [[gnu::always_inline]] inline

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
namespace {

// ceil(2^40 / range), range 256..511: exact quotients for dividends below 2^25.
constexpr std::array<uint64_t, 256> make_reciprocals() {
  std::array<uint64_t, 256> table{};
  for (uint64_t range = 256; range < 512; ++range)
    table[range - 256] = ((uint64_t{1} << 40) + range - 1) / range;
  return table;
}
constexpr std::array<uint64_t, 256> kReciprocal = make_reciprocals();

// Width of the LPS interval by P(1) >> 9 (6 bits) and bits 5 to 7 of the range.
constexpr std::array<uint8_t, 512> make_lps_ranges() {
  std::array<uint8_t, 512> table{};
  for (uint32_t i = 0; i < 512; ++i) {
    const uint32_t p = i / 8;
    table[i] = static_cast<uint8_t>(lps_range(p < 32 ? p : 63 - p, 256 + 32 * (i % 8)));
  }
  return table;
}
constexpr std::array<uint8_t, 512> kLpsRange = make_lps_ranges();

// CabacDecoder's state with ivlOffset in the top 9 bits of `value`. Bits below the `extra` ones that are
// counted may be set already; they are the same ones that the next refill puts there.
class Engine {
 public:
  LLMC_INLINE explicit Engine(const CabacDecoder& decoder) : data_(decoder.data()) {
    const CabacDecoder::Registers r = decoder.registers();
    value_ = r.value << (55 - r.extra);
    range_ = r.range;
    extra_ = r.extra;
    position_ = r.position;
  }
  LLMC_INLINE void hand_back(CabacDecoder& decoder) const {
    decoder.set_registers({value_ >> (55 - extra_), range_, extra_, position_});
  }

  // As CabacDecoder::bin(). What can be computed before the outcome is known stands before it: consecutive
  // bins often share a model, and then this is one long chain of dependent steps.
  LLMC_INLINE int bin(ContextModel& model) {
    const auto probability = static_cast<uint32_t>(model.probability());
    const uint32_t lps = kLpsRange[(probability >> 9) * 8 + ((range_ >> 5) & 7)];
    // All ones for the more probable value: offset < range - lps. A branch would often be mispredicted.
    const int32_t distance = static_cast<int32_t>(value_ >> 55) - static_cast<int32_t>(range_);
    const auto is_mps = static_cast<uint32_t>((distance + static_cast<int32_t>(lps)) >> 31);
    const uint32_t ones = is_mps ^ ((probability >> 14) - 1);
    model.adapt(ones);
    const uint32_t mps_range = range_ - lps;
    value_ -= (uint64_t{mps_range & ~is_mps}) << 55;
    range_ = lps + ((mps_range - lps) & is_mps);
    const int shift = std::countl_zero(range_) - 23;
    range_ <<= shift;
    value_ <<= shift;
    extra_ -= shift;
    if (extra_ < kEnough) [[unlikely]]
      refill();
    return static_cast<int>(ones & 1);
  }

  // Sixteen bypass bins at once: the quotient of offset and range.
  LLMC_INLINE uint32_t sixteen_bypass() {
    const auto bins = static_cast<uint32_t>(((value_ >> 39) * kReciprocal[range_ - 256]) >> 40);
    value_ = (value_ - ((uint64_t{range_} * bins) << 39)) << 16;
    extra_ -= 16;
    if (extra_ < kEnough) refill();
    return bins;
  }
  // Undoes the last `count` (<= 31) bypass bins. What then no longer fits is read again later.
  LLMC_INLINE void give_back(uint64_t bins, int count) {
    value_ = (value_ >> count) + ((uint64_t{range_} * bins) << (55 - count));
    extra_ += count;
    const int bytes = std::max(extra_ - 55 + 7, 0) >> 3;
    extra_ -= 8 * bytes;
    position_ -= static_cast<size_t>(bytes);
  }

 private:
  static constexpr int kEnough = 17;  // for a call of bin() or sixteen_bypass()

  LLMC_INLINE void refill() {
    const int bytes = (55 - extra_) >> 3;
    uint64_t next = 0;
    if (position_ + 8 <= data_.size()) {
      std::memcpy(&next, data_.data() + position_, 8);
      if constexpr (std::endian::native == std::endian::little) next = __builtin_bswap64(next);
    } else {
      next = last_bytes(data_, position_);
    }
    value_ |= next >> (9 + extra_);
    position_ += static_cast<size_t>(bytes);
    extra_ += 8 * bytes;
  }
  // Near the end: what is left, then zeros.
  [[gnu::noinline]] static uint64_t last_bytes(std::span<const uint8_t> data, size_t position) {
    uint64_t next = 0;
    for (size_t i = 0; i < 8; ++i) next = next << 8 | (position + i < data.size() ? data[position + i] : 0);
    return next;
  }

  std::span<const uint8_t> data_;
  uint64_t value_;
  uint32_t range_;
  int extra_;
  size_t position_;
};

// Bypass bins taken from the engine and not yet used.
class BypassWindow {
 public:
  LLMC_INLINE explicit BypassWindow(Engine& engine) : engine_(engine) {}

  // The next `count` (1..16) bins.
  LLMC_INLINE uint32_t take(int count) {
    need(count);
    count_ -= count;
    return static_cast<uint32_t>(bins_ >> count_) & ((1u << count) - 1);
  }

  // As rice_code() of residual_syntax.h.
  LLMC_INLINE int rice_code(int rice) {
    need(9);
    const int ones = std::countl_one(bins_ << (64 - count_));
    if (ones > 5) [[unlikely]]
      return escape(rice);
    count_ -= ones + 1 + rice;
    return (ones << rice) + static_cast<int>((bins_ >> count_) & ((1u << rice) - 1));
  }

  LLMC_INLINE void hand_back() {
    if (count_ > 0) engine_.give_back(bins_ & ((uint64_t{1} << count_) - 1), count_);
  }

 private:
  LLMC_INLINE void need(int count) {
    if (count_ >= count) return;
    bins_ = bins_ << 16 | engine_.sixteen_bypass();
    count_ += 16;
  }

  // A prefix of more than five ones: up to 17, then a suffix that grows with it.
  LLMC_INLINE int escape(int rice) {
    constexpr int kMaxPrefix = 17, kRicePrefixes = 5;
    int prefix = 0;
    while (prefix < kMaxPrefix && take(1) != 0) ++prefix;
    const int above = std::max(prefix - kRicePrefixes, 0);
    const int suffix_bits = prefix == kMaxPrefix ? 15 : above + rice;
    const int base = ((1 << above) + kRicePrefixes - 1) << rice;
    return base + static_cast<int>(take(suffix_bits));
  }

  Engine& engine_;
  uint64_t bins_ = 0;
  int count_ = 0;  // <= 31 of the low bits of bins_ are unused
};

// Both context increments for the low byte of a template sum (locSumAbsPass1 and locNumSig):
// bits 0-1 for sig_coeff_flag, bits 2-4 for the greater flags.
constexpr std::array<uint8_t, 256> make_increments() {
  std::array<uint8_t, 256> table{};
  for (int i = 0; i < 256; ++i) {
    const int sum = i & 31, count = i >> 5;
    table[i] = static_cast<uint8_t>(std::min((sum + 1) >> 1, 3) | std::clamp(sum - count, 0, 4) << 2);
  }
  return table;
}
constexpr std::array<uint8_t, 256> kIncrements = make_increments();

// First context of sig_coeff_flag by QState: 12 * Max(0, QState - 1).
constexpr uint8_t kSigSet[4] = {0, 0, 12, 24};

// Rice parameter by template sum of full levels: [0] for dec_abs_level, [1] for abs_remainder (sum less 20).
constexpr auto make_rice() {
  std::array<std::array<uint8_t, 256>, 2> table{};
  for (int sum = 0; sum < 256; ++sum) {
    table[0][sum] = static_cast<uint8_t>(rice_parameter(sum));
    table[1][sum] = static_cast<uint8_t>(rice_parameter(sum - 20));
  }
  return table;
}
constexpr auto kRice = make_rice();

// What is known of the sixteen coefficients of a sub-block; bits by position.
struct Subblock {
  uint32_t significant = 0;
  uint32_t state_above_1 = 0;  // QState > 1 when the coefficient was coded
  uint32_t has_remainder = 0;
  int count = 0;  // of significant ones
  int abs_level[16];
};

// One block. All members that the loops change are locals of read(), so that they stay in registers.
template <bool kRaster>
class BlockReader {
 public:
  LLMC_INLINE BlockReader(CabacDecoder& bins, int log2_width, int log2_height, int32_t* out)
      : bins_(bins),
        contexts_(bins.contexts().data()),
        log2_width_(log2_width),
        log2_height_(log2_height),
        scan_(scan_order(log2_width, log2_height)),
        out_(out) {}

  ResidualInfo read() {
    const int last = last_sig_coeff(bins_, 0, log2_width_, log2_height_);
    Engine engine(bins_);
    int budget = context_bin_budget(log2_width_, log2_height_);
    int state = 0;
    bool in_range = true;
    for (int i = last >> 4; i >= 0; --i) {
      if (!sb_coded_flag(engine, i, last >> 4)) continue;
      in_range &= subblock(engine, 16 * i, last, budget, state);
    }
    engine.hand_back(bins_);
    return {last, in_range};
  }

 private:
  LLMC_INLINE bool sb_coded_flag(Engine& engine, int i, int last_subblock) {
    const int x = scan_.subblock_x[i], y = scan_.subblock_y[i];
    bool coded = true;
    if (i != last_subblock && i != 0) {
      const int csbf = static_cast<int>((sb_coded_[y] >> (x + 1) & 1) | (sb_coded_[y + 1] >> x & 1));
      coded = engine.bin(contexts_[ctx::kSbCodedFlag + csbf]) != 0;
    }
    sb_coded_[y] = static_cast<uint16_t>(sb_coded_[y] | static_cast<unsigned>(coded) << x);
    return coded;
  }

  LLMC_INLINE bool subblock(Engine& engine, int first, int last, int& budget, int& state) {
    Subblock s;
    int n = std::min(first + 15, last);
    const int inferred = n == last ? last : first > 0 ? first : -1;
    for (; n >= first && budget >= 4; --n)
      pass1(engine, s, n, {n == inferred && s.significant == 0, n == last}, budget, state);
    BypassWindow window(engine);
    for (uint32_t left = s.has_remainder; left != 0;) {
      const int bit = std::bit_width(left) - 1;
      left ^= 1u << bit;
      pass2(window, s, first + bit);
    }
    for (; n >= first; --n) pass3(window, s, n, state);
    const bool in_range = s.significant == 0 || signs(window, s, first);
    window.hand_back();
    return in_range;
  }

  struct Place {
    bool sig_inferred;
    bool is_last;
  };

  LLMC_INLINE void pass1(Engine& engine, Subblock& s, int n, Place place, int& budget, int& state) {
    const ScanEntry& entry = scan_.entries[n];
    const uint32_t increments = kIncrements[residual_detail::template_sum(levels_ + entry.padded) & 255];
    if (!place.sig_inferred) {
      --budget;
      const int inc = kSigSet[state] + entry.sig_offset + static_cast<int>(increments & 3);
      if (!engine.bin(contexts_[ctx::kSigCoeffFlag + inc])) {
        state = next_state(state, 0);
        return;
      }
    }
    const int inc = place.is_last ? 0 : entry.greater_offset + static_cast<int>(increments >> 2);
    int level = 1;
    --budget;
    if (engine.bin(contexts_[ctx::kAbsLevelGt1Flag + inc])) {
      const int parity = engine.bin(contexts_[ctx::kParLevelFlag + inc]);
      const int gt3 = engine.bin(contexts_[ctx::kAbsLevelGt3Flag + inc]);
      level = 2 + parity + 2 * gt3;
      s.has_remainder |= static_cast<uint32_t>(gt3) << (n & 15);
      budget -= 2;
    }
    found(s, n, level, state);
    levels_[entry.padded] = residual_detail::pack_pass1(level);
    state = next_state(state, level & 1);
  }

  LLMC_INLINE void pass2(BypassWindow& window, Subblock& s, int n) {
    const ScanEntry& entry = scan_.entries[n];
    const unsigned sum = residual_detail::template_sum(levels_ + entry.padded) >> 8;
    int& level = s.abs_level[n & 15];
    level += 2 * window.rice_code(kRice[1][sum & 255]);
    levels_[entry.padded] = residual_detail::pack_full(levels_[entry.padded], level);
  }

  LLMC_INLINE void pass3(BypassWindow& window, Subblock& s, int n, int& state) {
    const ScanEntry& entry = scan_.entries[n];
    const int rice = kRice[0][(residual_detail::template_sum(levels_ + entry.padded) >> 8) & 255];
    const int word = window.rice_code(rice);
    const int zero = zero_position(state, rice);
    const int level = word == zero ? 0 : word < zero ? word + 1 : word;
    if (level != 0) {
      found(s, n, level, state);
      levels_[entry.padded] = residual_detail::pack_full(0, level);
    }
    state = next_state(state, level & 1);
  }

  LLMC_INLINE static void found(Subblock& s, int n, int level, int state) {
    ++s.count;
    s.significant |= 1u << (n & 15);
    s.state_above_1 |= static_cast<uint32_t>(state >> 1) << (n & 15);
    s.abs_level[n & 15] = level;
  }

  // coeff_sign_flag of all non-zero coefficients, then TransCoeffLevel
  LLMC_INLINE bool signs(BypassWindow& window, const Subblock& s, int first) {
    uint32_t flags = window.take(s.count);
    bool in_range = true;
    for (uint32_t left = s.significant; left != 0; left &= left - 1, flags >>= 1) {
      const int bit = std::countr_zero(left);
      const int magnitude = 2 * s.abs_level[bit] - static_cast<int>(s.state_above_1 >> bit & 1);
      const int negative = -static_cast<int>(flags & 1);
      const int level = (magnitude ^ negative) - negative;
      const int clipped = std::clamp(level, -32768, 32767);
      in_range &= clipped == level;
      out_[kRaster ? scan_.entries[first + bit].raster : first + bit] = clipped;
    }
    return in_range;
  }

  CabacDecoder& bins_;
  ContextModel* contexts_;
  int log2_width_, log2_height_;
  const ScanOrder& scan_;
  int32_t* out_;
  uint16_t sb_coded_[9] = {};
  uint16_t levels_[kPaddedSize] = {};
};

}  // namespace

ResidualInfo decode_here(CabacDecoder& bins, const TransformBlock& block) {
  return BlockReader<true>(bins, block.log2_width, block.log2_height, block.trans_coeff_level).read();
}

ResidualInfo decode_in_scan_order_here(CabacDecoder& bins, int log2_width, int log2_height, int32_t* levels) {
  return BlockReader<false>(bins, log2_width, log2_height, levels).read();
}

}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace llmcodec::vvc {

HWY_EXPORT(decode_here);
HWY_EXPORT(decode_in_scan_order_here);

ResidualInfo decode_residual(CabacDecoder& bins, const TransformBlock& block) {
  return HWY_DYNAMIC_DISPATCH(decode_here)(bins, block);
}

ResidualInfo decode_residual_in_scan_order(CabacDecoder& bins, int log2_width, int log2_height,
                                           int32_t* levels) {
  return HWY_DYNAMIC_DISPATCH(decode_in_scan_order_here)(bins, log2_width, log2_height, levels);
}

}  // namespace llmcodec::vvc
#endif
