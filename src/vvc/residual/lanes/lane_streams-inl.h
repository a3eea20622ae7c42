// SPDX-License-Identifier: BSD-3-Clause
// Streams of plain CabacDecoders in lanes: from the decoders and back, the windows of their bytes, and the
// bypass codes. Compiled once per instruction set.
#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "vvc/cabac/cabac_decoder.h"
#include "vvc/residual/lanes/lane_arithmetic-inl.h"

// Highway's include guard: one copy for each instruction set.
#if defined(LLMCODEC_LANE_STREAMS_INL) == defined(HWY_TARGET_TOGGLE)
#ifdef LLMCODEC_LANE_STREAMS_INL
#undef LLMCODEC_LANE_STREAMS_INL
#else
#define LLMCODEC_LANE_STREAMS_INL
#endif

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
#if LLMC_HAS_LANES

// A lane without a stream reads zeros. Single lanes change in memory: store() before that, load() after.
class LaneStreams {
 public:
  LaneStreams() {
    for (size_t lane = 0; lane < kN; ++lane) clear(lane);
  }

  void clear(size_t lane) {
    data_[lane] = {};
    value_[lane] = position_[lane] = 0;
    range_[lane] = 256;
  }
  void take(size_t lane, const CabacDecoder& bins) {
    const CabacDecoder::Registers r = bins.registers();
    const size_t bits = 8 * r.position - static_cast<size_t>(r.extra);
    data_[lane] = bins.data();
    value_[lane] = static_cast<uint32_t>(r.value >> r.extra) << kRawBits;
    range_[lane] = r.range;
    origin_[lane] = bits / 8;
    position_[lane] = bits % 8;
    load_window(lane);
  }
  void hand_back(size_t lane, CabacDecoder& bins) const {
    const size_t bits = 8 * origin_[lane] + position_[lane], bytes = (bits + 7) / 8;
    const auto extra = static_cast<int>(8 * bytes - bits);
    const uint64_t last_byte = bytes <= data_[lane].size() ? data_[lane][bytes - 1] : 0;
    const uint64_t raw = last_byte & ((uint64_t{1} << extra) - 1);
    bins.set_registers({uint64_t{value_[lane] >> kRawBits} << extra | raw, range_[lane], extra, bytes});
  }

  void load() {
    arithmetic.bytes = bytes_;
    arithmetic.value = HWY_NAMESPACE::load(value_);
    arithmetic.range = HWY_NAMESPACE::load(range_);
    arithmetic.position = HWY_NAMESPACE::load(position_);
    arithmetic.gather();
  }
  void store() {
    HWY_NAMESPACE::store(arithmetic.value, value_);
    HWY_NAMESPACE::store(arithmetic.range, range_);
    HWY_NAMESPACE::store(arithmetic.position, position_);
  }

  // Windows of which half is used move on, with what is stored: before any lane reads half a window at once.
  bool must_move() const { return any(yes(is_less(set(8 * kWindowBytes / 2), arithmetic.position))); }
  void move() {
    for (size_t lane = 0; lane < kN; ++lane) {
      origin_[lane] += position_[lane] / 8;
      position_[lane] %= 8;
      load_window(lane);
    }
  }

  // As rice_code() of rice.h, where `active`.
  V rice_code(V rice, V active) {
    constexpr int kBins = kRicePrefixes + 1 + 3;  // a plain code with the largest Rice parameter
    Arithmetic a = arithmetic;
    a.gather(), a.top_up();
    const V bins = a.peek<kBins>();
    const V inverse = bins ^ set((1 << kBins) - 1);
    const V ones = set(127 + kBins) - exponent(inverse + inverse + set(1));
    const V escapes = active & yes(is_less(set(kRicePrefixes), ones));
    const V used = hn::AndNot(escapes, active & (ones + rice + set(1)));
    const V code = (ones << rice) + ((bins >> (set(kBins) - used)) & ((set(1) << rice) - set(1)));
    a.take<kBins>(bins, used);
    arithmetic = a;
    return any(escapes) ? escape(rice, escapes, code) : code;
  }

  Arithmetic arithmetic;

 private:
  // A window starts at the byte `origin_` of its stream; behind the end of the data there are zeros.
  void load_window(size_t lane) {
    const auto rest = data_[lane].subspan(std::min(origin_[lane], data_[lane].size()));
    uint8_t* window = bytes_ + lane * kWindowBytes;
    const size_t size = std::min(rest.size(), kWindowBytes);
    std::copy_n(rest.begin(), size, window);
    std::fill(window + size, window + kWindowBytes, uint8_t{0});
  }

  // Bit by bit, in the lanes where `escapes`.
  HWY_NOINLINE V escape(V rice, V escapes, V code) {
    alignas(64) Row rices, codes, where;
    HWY_NAMESPACE::store(rice, rices), HWY_NAMESPACE::store(code, codes);
    HWY_NAMESPACE::store(escapes, where);
    store();
    for (size_t lane = 0; lane < kN; ++lane)
      if (where[lane] != 0) codes[lane] = escape_of_lane(lane, static_cast<int>(rices[lane]));
    load();
    return HWY_NAMESPACE::load(codes);
  }
  uint32_t escape_of_lane(size_t lane, int rice) {
    const uint8_t* window = bytes_ + lane * kWindowBytes;
    uint32_t offset = value_[lane] >> kRawBits, at = position_[lane];
    const auto bit = [&] {
      offset = offset << 1 | (window[at / 8] >> (7 - at % 8) & 1u);
      ++at;
      const uint32_t one = offset >= range_[lane];
      offset -= one ? range_[lane] : 0;
      return one;
    };
    int prefix = 0;
    uint32_t suffix = 0;
    while (prefix < kMaxRicePrefix && bit() != 0) ++prefix;
    for (int left = rice_suffix_bits(prefix, rice); left > 0; --left) suffix = suffix << 1 | bit();
    value_[lane] = offset << kRawBits;
    position_[lane] = at;
    return static_cast<uint32_t>(rice_base(prefix, rice)) + suffix;
  }

  alignas(64) Row value_;
  Row range_, position_;
  size_t origin_[kN] = {};
  std::span<const uint8_t> data_[kN];
  alignas(64) uint8_t bytes_[kN * kWindowBytes] = {};
};

#endif  // LLMC_HAS_LANES
}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif  // include guard
