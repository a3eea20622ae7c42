// SPDX-License-Identifier: BSD-3-Clause
// All lanes stand at the same scan position; what a lane does not have there is masked. What leads to a
// block's last coefficient, and that one, are read by CabacDecoder before the lanes start.
#include "vvc/residual_lanes.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vvc/residual_lanes.cc"
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <cstring>

#include "vvc/lane_arithmetic-inl.h"
#include "vvc/residual_decoder.h"

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
namespace {

void decode_alone(LaneBlock& block) {
  block.info = decode_residual_in_scan_order(*block.bins, 5, 5, block.levels);
}

#if LLMC_HAS_LANES

constexpr size_t kFewestLanes = 4;  // three are no faster than one by one

// One 32x32 block of each of up to kN streams.
class LaneReader {
 public:
  LaneReader(LaneBlock* const* blocks, size_t count) : blocks_(blocks), count_(count) {}

  void read() {
    for (size_t lane = 0; lane < kN; ++lane) start(lane);
    for (size_t lane = 0; lane < count_; ++lane)
      contexts_.exchange(lane, blocks_[lane]->bins->contexts(),
                         [](uint32_t& states, ContextModel& model) { states = model.states; });
    load_windows();
    for (int i = highest_last_ >> 4; i >= 0; --i) {
      subblock(i);
      if (any(yes(is_less(set(8 * kWindowBytes / 2), arithmetic_.position)))) move_windows();
    }
    for (size_t lane = 0; lane < count_; ++lane)
      contexts_.exchange(lane, blocks_[lane]->bins->contexts(),
                         [](uint32_t& states, ContextModel& model) { model.states = states; });
    hand_back();
  }

 private:
  // --- from the plain decoders and back

  void start(size_t lane) {
    last_[lane] = ~0u;
    range_[lane] = 256;
    if (lane >= count_) return;
    CabacDecoder& bins = *blocks_[lane]->bins;
    const int last = last_sig_coeff(bins, 0, 5, 5);
    blocks_[lane]->info = {last, true};
    highest_last_ = std::max(highest_last_, last);
    uint32_t level = 1;
    if (bins.bin(0, ctx::kAbsLevelGt1Flag) != 0) {
      level = 2 + static_cast<uint32_t>(bins.bin(0, ctx::kParLevelFlag));
      level += 2 * static_cast<uint32_t>(bins.bin(0, ctx::kAbsLevelGt3Flag));
    }
    last_[lane] = static_cast<uint32_t>(last);
    last_level_[lane] = level;
    budget_[lane] = static_cast<uint32_t>(context_bin_budget(5, 5)) - (level > 1 ? 3 : 1);
    state_high_[lane] = 0u - (level & 1);
    const CabacDecoder::Registers r = bins.registers();
    const size_t bits = 8 * r.position - static_cast<size_t>(r.extra);
    value_[lane] = static_cast<uint32_t>(r.value >> r.extra) << kRawBits;
    range_[lane] = r.range;
    origin_[lane] = bits / 8;
    position_[lane] = bits % 8;
  }

  // A window starts at the byte `origin_` of its stream; behind the end of the data there are zeros.
  void load_windows() {
    for (size_t lane = 0; lane < count_; ++lane) {
      const std::span<const uint8_t> data = blocks_[lane]->bins->data();
      const auto rest = data.subspan(std::min(origin_[lane], data.size()));
      uint8_t* window = bytes_ + lane * kWindowBytes;
      const size_t size = std::min(rest.size(), kWindowBytes);
      std::copy_n(rest.begin(), size, window);
      std::fill(window + size, window + kWindowBytes, uint8_t{0});
    }
    arithmetic_.bytes = bytes_;
    arithmetic_.value = load(value_);
    arithmetic_.range = load(range_);
    arithmetic_.position = load(position_);
    arithmetic_.gather();
  }
  void store_arithmetic() {
    store(arithmetic_.value, value_);
    store(arithmetic_.range, range_);
    store(arithmetic_.position, position_);
  }
  void move_windows() {
    store_arithmetic();
    for (size_t lane = 0; lane < count_; ++lane) {
      origin_[lane] += position_[lane] / 8;
      position_[lane] %= 8;
    }
    load_windows();
  }

  void hand_back() {
    store_arithmetic();
    for (size_t lane = 0; lane < count_; ++lane) {
      CabacDecoder& bins = *blocks_[lane]->bins;
      const size_t bits = 8 * origin_[lane] + position_[lane], bytes = (bits + 7) / 8;
      const auto extra = static_cast<int>(8 * bytes - bits);
      const uint64_t last_byte = bytes <= bins.data().size() ? bins.data()[bytes - 1] : 0;
      const uint64_t raw = last_byte & ((uint64_t{1} << extra) - 1);
      bins.set_registers({uint64_t{value_[lane] >> kRawBits} << extra | raw, range_[lane], extra, bytes});
      blocks_[lane]->info.level_in_range = out_of_range_[lane] == 0;
    }
  }

  // --- sub-blocks

  void subblock(int i) {
    const V subblock_of_last = hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(di, load(last_))));
    const V here = set(static_cast<uint32_t>(i)), has_last = yes(subblock_of_last == here);
    const V coded = sb_coded_flag(i, has_last, yes(is_less(here, subblock_of_last)));
    if (!any(coded)) return;
    for (Row& row : magnitude_) store(set(0), row);
    if (any(has_last)) put_last_levels(i);
    pass1(i, coded, has_last);
    pass2(i);
    if (any(yes(is_less(load(budget_), set(4))))) pass3(i, coded);
    signs(i);
  }

  // Lanes whose sub-block `i` is coded. `inner`: it stands before that of the last coefficient.
  V sb_coded_flag(int i, V has_last, V inner) {
    V coded = inner;
    if (i != 0 && any(inner)) {
      Arithmetic a = arithmetic_;
      a.refill();
      coded = contexts_.sb_coded_flag(a, i, inner);
      arithmetic_ = a;
    }
    contexts_.set_coded(i, coded | has_last);
    return coded | has_last;
  }

  void put_last_levels(int i) {
    for (size_t lane = 0; lane < count_; ++lane) {
      const int last = static_cast<int>(last_[lane]);
      if (last >> 4 != i) continue;
      magnitude_[last & 15][lane] = 2 * last_level_[lane];
      contexts_.put_level(scan_[last], lane, static_cast<int>(last_level_[lane]));
    }
  }

  // sig_coeff_flag, abs_level_gtx_flag[0], par_level_flag, abs_level_gtx_flag[1].
  void pass1(int i, V coded, V has_level) {
    Arithmetic a = arithmetic_;
    V high = load(state_high_), low = load(state_low_), budget = load(budget_);  // QState by its bits
    const V last = load(last_);
    for (int n = std::min(16 * i + 15, highest_last_); n >= 16 * i; --n) {
      const ScanEntry& place = scan_[n];
      const V active =
          coded & yes(is_less(set(static_cast<uint32_t>(n)), last)) & yes(is_less(set(3), budget));
      store(active, in_pass1_[n & 15]);
      const V sums = contexts_.template_sums(place);
      V asked = active, inferred = set(0);
      if (n == 16 * i && i > 0) {  // a coded sub-block without levels so far
        inferred = hn::AndNot(has_level, active);
        asked = active & has_level;
      }
      a.refill();
      const V significant = contexts_.sig_coeff_flag(a, place, sums & set(31), high, low, asked) | inferred;
      const LaneContexts::Greater greater(place, sums);
      const V above_1 = contexts_.greater_flag<1, ctx::kAbsLevelGt1Flag>(a, greater, significant);
      a.top_up();
      const V parity = contexts_.greater_flag<0, ctx::kParLevelFlag>(a, greater, above_1);
      const V above_3 = contexts_.greater_flag<2, ctx::kAbsLevelGt3Flag>(a, greater, above_1);
      budget = budget + asked + significant + above_1 + above_1;
      has_level = has_level | significant;
      const V level = set(0) - (significant + above_1 + parity + above_3 + above_3);
      contexts_.put_level(
          place, contexts_.level_at(place) | level | hn::ShiftLeft<8>(level) | (significant & set(32)));
      store(load(magnitude_[n & 15]) | (level + level + (high & significant)), magnitude_[n & 15]);
      step_state((significant ^ above_1) | parity, active, high, low);
    }
    arithmetic_ = a;
    store(high, state_high_), store(low, state_low_), store(budget, budget_);
  }

  // --- bypass

  // As rice_code() of residual_syntax.h, where `active`.
  V rice_code(V rice, V active) {
    constexpr int kBins = 9;
    Arithmetic a = arithmetic_;
    a.gather(), a.top_up();
    const V bins = a.peek<kBins>();
    const V inverse = bins ^ set((1 << kBins) - 1);
    const V ones = set(127 + kBins) - exponent(inverse + inverse + set(1));
    const V escapes = active & yes(is_less(set(5), ones));
    const V used = hn::AndNot(escapes, active & (ones + rice + set(1)));
    const V code = (ones << rice) + ((bins >> (set(kBins) - used)) & ((set(1) << rice) - set(1)));
    a.take<kBins>(bins, used);
    arithmetic_ = a;
    return any(escapes) ? escape(rice, escapes, code) : code;
  }

  // A prefix of more than five ones, bit by bit: lanes where `escapes`.
  HWY_NOINLINE V escape(V rice, V escapes, V code) {
    alignas(64) Row rices, codes, where;
    store(rice, rices), store(code, codes), store(escapes, where);
    store_arithmetic();
    for (size_t lane = 0; lane < kN; ++lane)
      if (where[lane] != 0) codes[lane] = escape_of_lane(lane, rices[lane]);
    arithmetic_.value = load(value_);
    arithmetic_.position = load(position_);
    arithmetic_.gather();
    return load(codes);
  }
  uint32_t escape_of_lane(size_t lane, uint32_t rice) {
    constexpr uint32_t kMaxPrefix = 17, kRicePrefixes = 5;
    const uint8_t* window = bytes_ + lane * kWindowBytes;
    uint32_t offset = value_[lane] >> kRawBits, at = position_[lane];
    const auto bit = [&] {
      offset = offset << 1 | (window[at / 8] >> (7 - at % 8) & 1u);
      ++at;
      const uint32_t one = offset >= range_[lane];
      offset -= one ? range_[lane] : 0;
      return one;
    };
    uint32_t prefix = 0, suffix = 0;
    while (prefix < kMaxPrefix && bit() != 0) ++prefix;
    const uint32_t above = prefix - kRicePrefixes;
    for (uint32_t left = prefix == kMaxPrefix ? 15 : above + rice; left > 0; --left)
      suffix = suffix << 1 | bit();
    value_[lane] = offset << kRawBits;
    position_[lane] = at;
    return (((1u << above) + kRicePrefixes - 1) << rice) + suffix;
  }

  HWY_INLINE void put_full(const ScanEntry& place, V level, V where) {
    const V packed = contexts_.level_at(place), full = hn::Min(level, set(residual_detail::kFullLevelClip));
    contexts_.put_level(place, choose(where, (packed & set(0xff)) | hn::ShiftLeft<8>(full), packed));
  }

  // abs_remainder, where pass 1 ended with "more than 3 and parity".
  void pass2(int i) {
    for (int n = std::min(16 * i + 15, highest_last_); n >= 16 * i; --n) {
      const V in_pass1 = load(magnitude_[n & 15]), active = yes(is_less(set(6), in_pass1));
      if (!any(active)) continue;
      const ScanEntry& place = scan_[n];
      const V rice = rice_parameter_of(hn::ShiftRight<8>(contexts_.template_sums(place)), 20);
      const V magnitude = in_pass1 + hn::ShiftLeft<2>(rice_code(rice, active) & active);
      store(magnitude, magnitude_[n & 15]);
      put_full(place, hn::ShiftRight<1>(magnitude + set(1)), active);
    }
  }

  // dec_abs_level, where the budget of context bins had run out.
  void pass3(int i, V coded) {
    V high = load(state_high_), low = load(state_low_);
    for (int n = std::min(16 * i + 15, highest_last_); n >= 16 * i; --n) {
      const V in_block = coded & yes(is_less(set(static_cast<uint32_t>(n)), load(last_)));
      const V active = hn::AndNot(load(in_pass1_[n & 15]), in_block);
      if (!any(active)) continue;
      const ScanEntry& place = scan_[n];
      const V rice = rice_parameter_of(hn::ShiftRight<8>(contexts_.template_sums(place)), 0);
      const V word = rice_code(rice, active), zero = set(1) << (rice - high);
      const V level = hn::AndNot(yes(word == zero), (word - yes(is_less(word, zero))) & active);
      const V significant = yes(level != set(0));
      store(load(magnitude_[n & 15]) | (level + level + (high & significant)), magnitude_[n & 15]);
      put_full(place, level, active);
      step_state(set(0) - (level & set(1)), active, high, low);
    }
    store(high, state_high_), store(low, state_low_);
  }

  // coeff_sign_flag of all non-zero coefficients, then TransCoeffLevel.
  void signs(int i) {
    constexpr int kHalf = 8;  // of the at most sixteen flags
    V count = set(0), out_of_range = load(out_of_range_);
    for (const Row& row : magnitude_) count = count - yes(load(row) != set(0));
    Arithmetic a = arithmetic_;
    a.gather(), a.top_up();
    const V in_first = hn::Min(count, set(kHalf)), first = a.peek<kHalf>();
    a.take<kHalf>(first, in_first);
    const V second = a.peek<kHalf>();
    a.take<kHalf>(second, count - in_first);
    arithmetic_ = a;
    V flags = hn::ShiftLeft<32 - kHalf>(first) | hn::ShiftLeft<32 - 2 * kHalf>(second);
    V levels[4];
    for (int n = 15; n >= 0; --n) {
      const V magnitude = load(magnitude_[n]), negative = sign_of(flags);
      const auto level = hn::BitCast(di, (magnitude ^ negative) - negative);
      const auto clipped = hn::Min(hn::Max(level, hn::Set(di, -32768)), hn::Set(di, 32767));
      out_of_range = out_of_range | hn::BitCast(d, level ^ clipped);
      flags = choose(yes(magnitude == set(0)), flags, flags + flags);
      levels[n & 3] = hn::BitCast(d, clipped);
      if ((n & 3) == 0) write_levels(levels, 16 * i + n);
    }
    store(out_of_range, out_of_range_);
  }
  HWY_INLINE void write_levels(const V* levels, int first) {
    alignas(64) uint32_t by_lane[kN][4];
    hn::StoreInterleaved4(levels[0], levels[1], levels[2], levels[3], d, by_lane[0]);
    for (size_t lane = 0; lane < count_; ++lane)
      std::memcpy(blocks_[lane]->levels + first, by_lane[lane], 16);
  }

  LaneBlock* const* blocks_;
  size_t count_;
  const ScanOrder& scan_ = scan_order(5, 5);
  int highest_last_ = 0;
  Arithmetic arithmetic_;
  alignas(64) Row last_;  // scan position of the last coefficient, or -1
  Row last_level_ = {};
  Row state_high_ = {}, state_low_ = {};  // the two bits of QState
  Row budget_ = {};
  Row out_of_range_ = {};  // not 0: a level left its range
  Row value_ = {}, range_, position_ = {};
  size_t origin_[kN] = {};
  Row magnitude_[16];  // |TransCoeffLevel| of the sub-block
  Row in_pass1_[16];
  LaneContexts contexts_;
  alignas(64) uint8_t bytes_[kN * kWindowBytes] = {};
};

}  // namespace

// Streams that have overrun are left to the plain decoder: what it read ahead need not be in the stream.
void decode_here(std::span<LaneBlock> blocks) {
  LaneBlock* group[kN];
  size_t count = 0;
  for (LaneBlock& block : blocks) {
    if (block.bins->overrun()) {
      decode_alone(block);
      continue;
    }
    group[count++] = &block;
    if (count < kN) continue;
    LaneReader(group, count).read();
    count = 0;
  }
  if (count >= kFewestLanes) return LaneReader(group, count).read();
  for (size_t i = 0; i < count; ++i) decode_alone(*group[i]);
}

#else
}  // namespace

void decode_here(std::span<LaneBlock> blocks) {
  for (LaneBlock& block : blocks) decode_alone(block);
}

#endif
}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace llmcodec::vvc {

HWY_EXPORT(decode_here);

void decode_residuals_in_scan_order(std::span<LaneBlock> blocks) {
  HWY_DYNAMIC_DISPATCH(decode_here)(blocks);
}

}  // namespace llmcodec::vvc
#endif
