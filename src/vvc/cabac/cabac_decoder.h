// SPDX-License-Identifier: BSD-3-Clause
// Arithmetic decoder: bytes of slice data (RBSP, emulation prevention already removed) in, bins out; the
// mirror of CabacEncoder (its header tells how the coder works).
//
// `value_` is the standard's ivlOffset followed by `extra_` bits read ahead, so that renormalising costs no
// input: the interval test is value_ against range_ << extra_. Bypass bins are the quotient of the two,
// sixteen at a time.
//
// Example (std::span<const uint8_t> slice_data, int slice_qp):
//
//   CabacDecoder decoder(slice_data, initial_contexts(slice_qp));
//   const int coded = decoder.bin(0, ctx::kTuYCodedFlag);    // the value argument is ignored
//   const uint32_t signs = decoder.bypass(0, 3);
//   const bool is_over = decoder.terminate(0) != 0 && decoder.ends_cleanly();
//
// Safe on any bytes: past the end it reads zeros, and overrun() then stays true. Ask it once per CTU.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>

#include "vvc/cabac/contexts.h"

namespace llmcodec::vvc {

// ceil(2^40 / range), by range - 256: multiplying by it and dropping 40 bits gives the exact quotient of any
// dividend below 2^27, that is of 17 bypass bins over a 9-bit range, and one bit more.
inline constexpr auto kRangeReciprocals = [] {
  std::array<uint64_t, 256> table{};
  for (uint64_t range = 256; range < 512; ++range)
    table[range - 256] = ((uint64_t{1} << 40) + range - 1) / range;
  return table;
}();

class CabacDecoder {
 public:
  // `data` must outlive the decoder; decoding starts at its first byte.
  CabacDecoder(std::span<const uint8_t> data, const ContextSet& contexts);

  // One context-coded bin. H.266 9.3.4.3.2 Arithmetic decoding process for a binary decision
  int bin(int /*value*/, int context) {
    ContextModel& model = contexts_[context];
    const int probability = model.probability();
    const int mps = probability >> 14;
    const uint32_t q = static_cast<uint32_t>((mps ? 32767 - probability : probability) >> 9);
    const uint32_t lps = lps_range(q, range_);
    range_ -= lps;
    const uint64_t scaled_range = uint64_t{range_} << extra_;
    const bool is_lps = value_ >= scaled_range;
    value_ -= is_lps ? scaled_range : 0;
    range_ = is_lps ? lps : range_;
    const int result = mps ^ static_cast<int>(is_lps);
    const int shift = std::countl_zero(range_) - 23;
    range_ <<= shift;
    extra_ -= shift;
    model.update(result);
    if (extra_ < kMinExtra) refill();
    return result;
  }

  // `count` (0..32) bypass bins, the first in the most significant place. H.266 9.3.4.3.4
  uint32_t bypass(uint32_t /*value*/, int count) {
    if (count > 16) {
      const uint32_t high = take_bypass(count - 16);
      return high << 16 | take_bypass(16);
    }
    return take_bypass(count);
  }

  // Number of one-bins before a zero, at most `max` (<= 17; then no zero follows).
  int unary_bypass(int /*ones*/, int max);

  // Bin before termination. H.266 9.3.4.3.5
  int terminate(int /*value*/) {
    range_ -= 2;
    if (value_ >= uint64_t{range_} << extra_) return 1;
    if (range_ < 256) {
      range_ <<= 1;
      if (--extra_ < kMinExtra) refill();
    }
    return 0;
  }

  // After terminate() returned 1: true if the stop bit stands where it must, followed by zeros up to a byte.
  bool ends_cleanly() const;
  // After terminate() returned 1: bytes of `data` used up, where a following substream starts.
  size_t bytes_used() const { return (bits_used() + 7) / 8; }
  // True for ever once a bin depended on bits behind the end of the data
  // (or the data starts with a forbidden value).
  bool overrun() const { return invalid_start_ || bits_used() > 8 * data_.size(); }

  ContextSet& contexts() { return contexts_; }

  // The arithmetic decoder's state, for a loop that keeps it in registers
  // (residual_decoder.cc) and hands it back.
  struct Registers {
    uint64_t value;   // ivlOffset, then `extra` bits read ahead
    uint32_t range;   // ivlCurrRange, 256..510
    int extra;        // kMinExtra..55 between calls
    size_t position;  // next byte of data() to read ahead; beyond its end zeros are read
  };
  Registers registers() const { return {value_, range_, extra_, position_}; }
  void set_registers(const Registers& r) {
    value_ = r.value, range_ = r.range, extra_ = r.extra, position_ = r.position;
    if (extra_ < kMinExtra) refill();
  }
  std::span<const uint8_t> data() const { return data_; }

 private:
  // Enough for a renormalisation (7) or for one call of peek (17), so every method can start without looking.
  static constexpr int kMinExtra = 17;

  // The next `count` (<= 17) bypass bins, not yet taken: floor(value_ / (range_ << (extra_ - count))).
  uint32_t peek_bypass(int count) const {
    return static_cast<uint32_t>(((value_ >> (extra_ - count)) * kRangeReciprocals[range_ - 256]) >> 40);
  }
  void drop_bypass(uint32_t bins, int count) {
    extra_ -= count;
    value_ -= (uint64_t{range_} * bins) << extra_;
    if (extra_ < kMinExtra) refill();
  }
  uint32_t take_bypass(int count) {
    const uint32_t bins = peek_bypass(count);
    drop_bypass(bins, count);
    return bins;
  }
  uint64_t bits_used() const { return 8 * uint64_t{position_} - static_cast<uint64_t>(extra_); }
  void refill();

  std::span<const uint8_t> data_;
  size_t position_ = 0;  // bytes taken into value_, those behind the end included
  uint64_t value_ = 0;
  uint32_t range_ = 510;
  int extra_ = 0;
  bool invalid_start_ = false;
  ContextSet contexts_;
};

}  // namespace llmcodec::vvc
