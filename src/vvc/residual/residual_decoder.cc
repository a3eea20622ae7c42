// SPDX-License-Identifier: BSD-3-Clause
// How it is faster than residual_syntax.h. The arithmetic decoder lives in local variables.
// Its window is left-aligned, so that a context bin shifts by constants.
// Bypass bins are taken sixteen at a time and parsed from a plain bit window;
// those left over are handed back. The contexts of a coefficient come from one table look-up.
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
    const auto bins = static_cast<uint32_t>(((value_ >> 39) * kRangeReciprocals[range_ - 256]) >> 40);
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

  // As rice_code() of rice.h.
  LLMC_INLINE int rice_code(int rice) {
    need(kRicePrefixes + 1 + 3);  // a plain code with the largest Rice parameter
    const int ones = std::countl_one(bins_ << (64 - count_));
    if (ones > kRicePrefixes) [[unlikely]]
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

  LLMC_INLINE int escape(int rice) {
    int prefix = 0;
    while (prefix < kMaxRicePrefix && take(1) != 0) ++prefix;
    return rice_base(prefix, rice) + static_cast<int>(take(rice_suffix_bits(prefix, rice)));
  }

  Engine& engine_;
  uint64_t bins_ = 0;
  int count_ = 0;  // <= 31 of the low bits of bins_ are unused
};

// Rice parameter by template sum of full levels: [0] for dec_abs_level, [1] for abs_remainder.
constexpr auto make_rice() {
  std::array<std::array<uint8_t, 256>, 2> table{};
  for (int sum = 0; sum < 256; ++sum) {
    table[0][sum] = static_cast<uint8_t>(rice_parameter(sum));
    table[1][sum] = static_cast<uint8_t>(rice_parameter(sum - kRemainderSum));
  }
  return table;
}
constexpr auto kRice = make_rice();

// What is known of the sixteen coefficients of a sub-block; bits by position.
struct Subblock {
  uint32_t significant = 0;
  uint32_t state_above_1 = 0;  // QState > 1 when the coefficient was coded
  uint32_t has_remainder = 0;
  int abs_level[16];
};

// How far the block has come. A local of read(), as is all that the loops change,
// so that it stays in registers.
struct Progress {
  int last;    // scan position of the last level
  int budget;  // context bins left
  int state = 0;
  bool in_range = true;
};

// One block.
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
    Progress p{.last = last_sig_coeff(bins_, 0, log2_width_, log2_height_),
               .budget = context_bin_budget(log2_width_, log2_height_)};
    Engine engine(bins_);
    for (int i = p.last >> 4; i >= 0; --i)
      if (sb_coded_flag(engine, i, p.last >> 4)) subblock(engine, 16 * i, p);
    engine.hand_back(bins_);
    return {p.last, p.in_range};
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

  LLMC_INLINE void subblock(Engine& engine, int first, Progress& p) {
    Subblock s;
    int n = std::min(first + 15, p.last);
    const int inferred = n == p.last ? p.last : first > 0 ? first : -1;
    for (; n >= first && p.budget >= 4; --n) pass1(engine, s, n, n == inferred && s.significant == 0, p);
    BypassWindow window(engine);
    for (uint32_t left = s.has_remainder; left != 0;) {
      const int bit = std::bit_width(left) - 1;
      left ^= 1u << bit;
      pass2(window, s, first + bit);
    }
    for (; n >= first; --n) pass3(window, s, n, p.state);
    if (s.significant != 0) p.in_range &= signs(window, s, first);
    window.hand_back();
  }

  LLMC_INLINE void pass1(Engine& engine, Subblock& s, int n, bool sig_inferred, Progress& p) {
    const ScanEntry& place = scan_.entries[n];
    const TemplateIncrements& increments = kTemplateIncrements[template_sum(levels_ + place.padded) & 255];
    if (!sig_inferred) {
      --p.budget;
      const int inc = kSigSet[p.state] + place.sig_offset + increments.sig;
      if (!engine.bin(contexts_[ctx::kSigCoeffFlag + inc])) {
        p.state = next_state(p.state, 0);
        return;
      }
    }
    const int inc = n == p.last ? 0 : place.greater_offset + increments.greater;
    int level = 1;
    p.budget -= 1;
    if (engine.bin(contexts_[ctx::kAbsLevelGt1Flag + inc])) {
      const int parity = engine.bin(contexts_[ctx::kParLevelFlag + inc]);
      const int gt3 = engine.bin(contexts_[ctx::kAbsLevelGt3Flag + inc]);
      level = 2 + parity + 2 * gt3;
      p.budget -= 2;
      s.has_remainder |= static_cast<uint32_t>(gt3) << (n & 15);
    }
    found(s, n, level, p.state);
    levels_[place.padded] = pack_pass1(level);
    p.state = next_state(p.state, level & 1);
  }

  LLMC_INLINE void pass2(BypassWindow& window, Subblock& s, int n) {
    const ScanEntry& place = scan_.entries[n];
    const unsigned sum = template_sum(levels_ + place.padded) >> 8;
    int& level = s.abs_level[n & 15];
    level += 2 * window.rice_code(kRice[1][sum & 255]);
    levels_[place.padded] = pack_full(levels_[place.padded], level);
  }

  LLMC_INLINE void pass3(BypassWindow& window, Subblock& s, int n, int& state) {
    const ScanEntry& place = scan_.entries[n];
    const int rice = kRice[0][(template_sum(levels_ + place.padded) >> 8) & 255];
    const int word = window.rice_code(rice);
    const int zero = zero_position(state, rice);
    const int level = word == zero ? 0 : word < zero ? word + 1 : word;
    if (level != 0) {
      found(s, n, level, state);
      levels_[place.padded] = pack_full(0, level);
    }
    state = next_state(state, level & 1);
  }

  LLMC_INLINE static void found(Subblock& s, int n, int level, int state) {
    s.significant |= 1u << (n & 15);
    s.state_above_1 |= static_cast<uint32_t>(state >> 1) << (n & 15);
    s.abs_level[n & 15] = level;
  }

  // coeff_sign_flag of all non-zero coefficients, then TransCoeffLevel
  LLMC_INLINE bool signs(BypassWindow& window, const Subblock& s, int first) {
    uint32_t flags = window.take(std::popcount(s.significant));
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
