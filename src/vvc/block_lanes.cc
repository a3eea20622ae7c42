// SPDX-License-Identifier: BSD-3-Clause
// In one step every lane reads one sub-block of 4x4, its own next one: what lanes share is the position
// inside the sub-block. Where a lane has nothing to read there, it is masked. What leads to a block's last
// coefficient, and that one, are read by CabacDecoder when the block starts.
#include "vvc/block_lanes.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vvc/block_lanes.cc"
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <cstring>

#include "vvc/lane_arithmetic-inl.h"
#include "vvc/lane_windows-inl.h"
#include "vvc/residual_decoder.h"

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
namespace {

void read_alone(ResidualSource& source) {
  while (source.next(decode_residual(source.bins(), source.block()))) {
  }
}

#if LLMC_HAS_LANES

constexpr size_t kFewestLanes = 4;

class BlockLanes {
 public:
  explicit BlockLanes(std::span<ResidualSource* const> sources) : waiting_(sources) {}

  void read() {
    for (size_t lane = 0; lane < kN; ++lane) make_idle(lane);
    for (size_t lane = 0; lane < kN; ++lane) take_source(lane);
    load_arithmetic();
    while (lanes_in_use_ > 0) {
      step();
      advance();
    }
  }

 private:
  struct Block {
    ResidualSource* source = nullptr;  // null: the lane is idle
    TransformBlock block;
    const ScanOrder* scan = nullptr;
    int last = 0, last_level = 0;
    int subblock = 0;
  };

  // --- streams in and out of lanes

  void make_idle(size_t lane) {
    blocks_[lane].source = nullptr;
    end_[lane] = inner_[lane] = state_high_[lane] = state_low_[lane] = budget_[lane] = 0;
    value_[lane] = position_[lane] = out_of_range_[lane] = 0;
    range_[lane] = 256;
    contexts_.enter(lane, 0, 0);
  }
  void take_source(size_t lane) {
    while (!waiting_.empty() && blocks_[lane].source == nullptr) {
      ResidualSource* source = waiting_.front();
      waiting_ = waiting_.subspan(1);
      contexts_.exchange(lane, source->bins().contexts(),
                         [](uint32_t& states, ContextModel& model) { states = model.states; });
      blocks_[lane].source = source;
      ++lanes_in_use_;
      start(lane);
    }
  }
  void leave(size_t lane) {
    contexts_.exchange(lane, blocks_[lane].source->bins().contexts(),
                       [](uint32_t& states, ContextModel& model) { model.states = states; });
    make_idle(lane);
    --lanes_in_use_;
  }

  // Starts the block that is due. A stream that has overrun goes on alone: what was read ahead need not be in
  // it.
  void start(size_t lane) {
    Block& b = blocks_[lane];
    ResidualSource* source = b.source;
    CabacDecoder& bins = source->bins();
    if (bins.overrun() || (lanes_in_use_ < kFewestLanes && waiting_.empty())) {
      leave(lane);
      return read_alone(*source);
    }
    b.block = source->block();
    b.scan = &scan_order(b.block.log2_width, b.block.log2_height);
    b.last = last_sig_coeff(bins, 0, b.block.log2_width, b.block.log2_height);
    b.last_level = 1;
    if (bins.bin(0, ctx::kAbsLevelGt1Flag) != 0) {
      b.last_level = 2 + bins.bin(0, ctx::kParLevelFlag);
      b.last_level += 2 * bins.bin(0, ctx::kAbsLevelGt3Flag);
    }
    b.subblock = b.last >> 4;
    budget_[lane] = static_cast<uint32_t>(context_bin_budget(b.block.log2_width, b.block.log2_height)) -
                    (b.last_level > 1 ? 3 : 1);
    state_high_[lane] = 0u - static_cast<uint32_t>(b.last_level & 1);
    state_low_[lane] = out_of_range_[lane] = 0;
    contexts_.clear(lane, b.block.log2_width, b.block.log2_height);
    place(lane);
    end_[lane] = static_cast<uint32_t>(b.last & 15);
    inner_[lane] = 0;
    const CabacDecoder::Registers r = bins.registers();
    const size_t bits = 8 * r.position - static_cast<size_t>(r.extra);
    value_[lane] = static_cast<uint32_t>(r.value >> r.extra) << kRawBits;
    range_[lane] = r.range;
    origin_[lane] = bits / 8;
    position_[lane] = bits % 8;
    load_window(lane);
  }
  void place(size_t lane) {
    const Block& b = blocks_[lane];
    contexts_.enter(lane, b.scan->subblock_x[b.subblock], b.scan->subblock_y[b.subblock]);
    end_[lane] = 16;
    inner_[lane] = b.subblock > 0 ? ~0u : 0;
  }

  // Every lane's next sub-block, block or stream.
  void advance() {
    bool is_stored = any(yes(is_less(set(8 * kWindowBytes / 2), arithmetic_.position)));
    if (is_stored) store_arithmetic(), move_windows();
    bool has_changed = is_stored;
    for (size_t lane = 0; lane < kN; ++lane) {
      if (blocks_[lane].source == nullptr) continue;
      if (--blocks_[lane].subblock >= 0) {
        place(lane);
        continue;
      }
      if (!has_changed) store_arithmetic();
      has_changed = true;
      end_block(lane);
    }
    if (has_changed) load_arithmetic();
  }
  void end_block(size_t lane) {
    Block& b = blocks_[lane];
    hand_back(lane);
    if (b.source->next({b.last, out_of_range_[lane] == 0})) return start(lane);
    leave(lane);
    take_source(lane);
  }

  // --- the arithmetic decoder's state

  // A window starts at the byte `origin_` of its stream; behind the end of the data there are zeros.
  void load_window(size_t lane) {
    const std::span<const uint8_t> data = blocks_[lane].source->bins().data();
    const auto rest = data.subspan(std::min(origin_[lane], data.size()));
    uint8_t* window = bytes_ + lane * kWindowBytes;
    const size_t size = std::min(rest.size(), kWindowBytes);
    std::copy_n(rest.begin(), size, window);
    std::fill(window + size, window + kWindowBytes, uint8_t{0});
  }
  void move_windows() {
    for (size_t lane = 0; lane < kN; ++lane) {
      if (blocks_[lane].source == nullptr) continue;
      origin_[lane] += position_[lane] / 8;
      position_[lane] %= 8;
      load_window(lane);
    }
  }
  void load_arithmetic() {
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
  void hand_back(size_t lane) {
    CabacDecoder& bins = blocks_[lane].source->bins();
    const size_t bits = 8 * origin_[lane] + position_[lane], bytes = (bits + 7) / 8;
    const auto extra = static_cast<int>(8 * bytes - bits);
    const uint64_t last_byte = bytes <= bins.data().size() ? bins.data()[bytes - 1] : 0;
    const uint64_t raw = last_byte & ((uint64_t{1} << extra) - 1);
    bins.set_registers({uint64_t{value_[lane] >> kRawBits} << extra | raw, range_[lane], extra, bytes});
  }

  // --- one sub-block in every lane

  void step() {
    contexts_.load_borders();
    for (Row& row : magnitude_) store(set(0), row);
    const V has_last = put_last_levels();
    const V end = load(end_), inner = load(inner_);
    V coded = yes(set(0) != end) | has_last;
    if (any(inner)) {
      Arithmetic a = arithmetic_;
      a.refill();
      coded = choose(inner, contexts_.sb_coded_flag(a, inner), coded);
      arithmetic_ = a;
    }
    pass1(coded, has_last, end, inner);
    pass2();
    if (any(coded & yes(is_less(load(budget_), set(4))))) pass3(coded, end);
    signs();
    contexts_.leave_all(coded);
  }

  // Lanes whose sub-block holds the block's last level, which is put in its place.
  V put_last_levels() {
    alignas(64) Row has_last = {};
    for (size_t lane = 0; lane < kN; ++lane) {
      const Block& b = blocks_[lane];
      if (b.source == nullptr || b.subblock != b.last >> 4) continue;
      has_last[lane] = ~0u;
      magnitude_[b.last & 15][lane] = static_cast<uint32_t>(2 * b.last_level);
      contexts_.put_level(b.last & 15, lane, b.last_level);
    }
    return load(has_last);
  }

  // sig_coeff_flag, abs_level_gtx_flag[0], par_level_flag, abs_level_gtx_flag[1].
  void pass1(V coded, V has_level, V end, V inner) {
    Arithmetic a = arithmetic_;
    V high = load(state_high_), low = load(state_low_), budget = load(budget_);  // QState by its bits
    const LaneWindows::Classes classes = contexts_.classes();
    for (int n = 15; n >= 0; --n) {
      const V active =
          coded & yes(is_less(set(static_cast<uint32_t>(n)), end)) & yes(is_less(set(3), budget));
      store(active, in_pass1_[n]);
      const V sums = contexts_.template_sums(n);
      const LaneWindows::Place place{n, classes};
      V asked = active, inferred = set(0);
      if (n == 0) {  // a coded sub-block without levels so far
        inferred = hn::AndNot(has_level, active & inner);
        asked = hn::AndNot(inferred, active);
      }
      a.refill();
      const V significant = contexts_.sig_coeff_flag(a, place, sums & set(31), high, low, asked) | inferred;
      const LaneWindows::Greater greater(place, sums);
      const V above_1 = contexts_.greater_flag<1, ctx::kAbsLevelGt1Flag>(a, greater, significant);
      a.top_up();
      const V parity = contexts_.greater_flag<0, ctx::kParLevelFlag>(a, greater, above_1);
      const V above_3 = contexts_.greater_flag<2, ctx::kAbsLevelGt3Flag>(a, greater, above_1);
      budget = budget + asked + significant + above_1 + above_1;
      has_level = has_level | significant;
      const V level = set(0) - (significant + above_1 + parity + above_3 + above_3);
      contexts_.put_level(n,
                          contexts_.level_at(n) | level | hn::ShiftLeft<8>(level) | (significant & set(32)));
      store(load(magnitude_[n]) | (level + level + (high & significant)), magnitude_[n]);
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

  HWY_INLINE void put_full(int n, V level, V where) {
    const V packed = contexts_.level_at(n), full = hn::Min(level, set(residual_detail::kFullLevelClip));
    contexts_.put_level(n, choose(where, (packed & set(0xff)) | hn::ShiftLeft<8>(full), packed));
  }

  // abs_remainder, where pass 1 ended with "more than 3 and parity".
  void pass2() {
    for (int n = 15; n >= 0; --n) {
      const V in_pass1 = load(magnitude_[n]), active = yes(is_less(set(6), in_pass1));
      if (!any(active)) continue;
      const V rice = rice_parameter_of(hn::ShiftRight<8>(contexts_.template_sums(n)), 20);
      const V magnitude = in_pass1 + hn::ShiftLeft<2>(rice_code(rice, active) & active);
      store(magnitude, magnitude_[n]);
      put_full(n, hn::ShiftRight<1>(magnitude + set(1)), active);
    }
  }

  // dec_abs_level, where the budget of context bins had run out.
  void pass3(V coded, V end) {
    V high = load(state_high_), low = load(state_low_);
    for (int n = 15; n >= 0; --n) {
      const V in_block = coded & yes(is_less(set(static_cast<uint32_t>(n)), end));
      const V active = hn::AndNot(load(in_pass1_[n]), in_block);
      if (!any(active)) continue;
      const V rice = rice_parameter_of(hn::ShiftRight<8>(contexts_.template_sums(n)), 0);
      const V word = rice_code(rice, active), zero = set(1) << (rice - high);
      const V level = hn::AndNot(yes(word == zero), (word - yes(is_less(word, zero))) & active);
      const V significant = yes(level != set(0));
      store(load(magnitude_[n]) | (level + level + (high & significant)), magnitude_[n]);
      put_full(n, level, active);
      step_state(set(0) - (level & set(1)), active, high, low);
    }
    store(high, state_high_), store(low, state_low_);
  }

  // coeff_sign_flag of all non-zero coefficients, then TransCoeffLevel.
  void signs() {
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
    for (int n = 15; n >= 0; --n) {
      const V magnitude = load(magnitude_[n]), negative = sign_of(flags);
      const auto level = hn::BitCast(di, (magnitude ^ negative) - negative);
      const auto clipped = hn::Min(hn::Max(level, hn::Set(di, -32768)), hn::Set(di, 32767));
      out_of_range = out_of_range | hn::BitCast(d, level ^ clipped);
      flags = choose(yes(magnitude == set(0)), flags, flags + flags);
      store(hn::BitCast(d, clipped), magnitude_[n]);
    }
    store(out_of_range, out_of_range_);
    for (int y = 0; y < 4; ++y) write_row(y);
  }
  HWY_INLINE void write_row(int y) {
    alignas(64) uint32_t by_lane[kN][4];
    const auto at = [&](int x) HWY_ATTR { return load(magnitude_[kPlaceOf.position[4 * y + x]]); };
    hn::StoreInterleaved4(at(0), at(1), at(2), at(3), d, by_lane[0]);
    for (size_t lane = 0; lane < kN; ++lane) {
      const Block& b = blocks_[lane];
      if (b.source == nullptr) continue;
      const int row = 4 * b.scan->subblock_y[b.subblock] + y, column = 4 * b.scan->subblock_x[b.subblock];
      std::memcpy(b.block.trans_coeff_level + (row << b.block.log2_width) + column, by_lane[lane], 16);
    }
  }

  std::span<ResidualSource* const> waiting_;
  size_t lanes_in_use_ = 0;
  Block blocks_[kN];
  Arithmetic arithmetic_;
  alignas(64) Row end_;         // levels are read below this position of the sub-block
  Row inner_;                   // not the sub-block of the last level, nor that of position 0
  Row state_high_, state_low_;  // the two bits of QState
  Row budget_;
  Row out_of_range_;  // not 0: a level left its range
  Row value_, range_, position_;
  size_t origin_[kN] = {};
  Row magnitude_[16];  // of the sub-block: AbsLevel doubled, less 1 when QState > 1; in the end levels
  Row in_pass1_[16] = {};
  LaneWindows contexts_;
  alignas(64) uint8_t bytes_[kN * kWindowBytes] = {};
};

}  // namespace

void read_here(std::span<ResidualSource* const> sources) {
  if (sources.size() >= kFewestLanes) return BlockLanes(sources).read();
  for (ResidualSource* source : sources) read_alone(*source);
}

#else
}  // namespace

void read_here(std::span<ResidualSource* const> sources) {
  for (ResidualSource* source : sources) read_alone(*source);
}

#endif
}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace llmcodec::vvc {

HWY_EXPORT(read_here);

void decode_all_residuals(std::span<ResidualSource* const> sources) {
  HWY_DYNAMIC_DISPATCH(read_here)(sources);
}

}  // namespace llmcodec::vvc
#endif
