// SPDX-License-Identifier: BSD-3-Clause
// Arithmetic encoder: bins in, bytes of slice data out (RBSP, before emulation prevention).
//
// How it works. The coder narrows an interval [low, low + range) with every bin: a context bin splits `range`
// in the proportion of its model's probability, a bypass bin in half. When range falls below 256 both numbers
// are doubled and one more bit of the code is settled. `low_` keeps the last 9 + `pending_` bits of the code;
// bits above the low 9 leave as bytes, except that a later carry may still ripple into bytes already written.
//
// Example (int slice_qp):
//
//   CabacEncoder encoder(initial_contexts(slice_qp));
//   encoder.bin(1, ctx::kTuYCodedFlag);
//   encoder.bypass(0b101, 3);                                // three bins, first one first
//   encoder.terminate(1);                                    // end_of_slice_one_bit
//   const std::vector<uint8_t> bytes = encoder.finish();
//
// CabacEncoder, CabacDecoder and CabacCost share one shape ("Bins"), so that one description of the syntax
// (residual_syntax.h, slice_syntax.h) writes, reads and prices: every method takes the value to be written
// and returns the value written or read.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "vvc/cabac/contexts.h"

namespace llmcodec::vvc {

class CabacEncoder {
 public:
  explicit CabacEncoder(const ContextSet& contexts) : contexts_(contexts) {}

  // One bin (0 or 1) with the model `context` of the set.
  int bin(int value, int context) {
    ContextModel& model = contexts_[context];
    const int probability = model.probability();
    const int mps = probability >> 14;
    const uint32_t lps = lps_range(lps_index(probability), range_);
    range_ -= lps;
    if (value != mps) {
      low_ += range_;
      range_ = lps;
    }
    renormalize();
    model.update(value);
    return value;
  }

  // The low `count` (0..32) bits of `value`, most significant first, each with probability one half.
  uint32_t bypass(uint32_t value, int count) {
    if (count > 16) {
      bypass_up_to_16(value >> 16, count - 16);
      bypass_up_to_16(value & 0xffff, 16);
    } else {
      bypass_up_to_16(value, count);
    }
    return value;
  }

  // `ones` one-bins and, unless ones == max, a zero: a truncated unary code of bypass bins. max <= 17.
  int unary_bypass(int ones, int max) {
    if (ones == max)
      bypass((1u << ones) - 1, ones);
    else
      bypass((1u << (ones + 1)) - 2, ones + 1);
    return ones;
  }

  // end_of_slice_one_bit and its like. After terminate(1) only finish_substream() or finish() may follow.
  int terminate(int value) {
    range_ -= 2;
    if (value) {
      low_ += range_;
      range_ = 2;
    }
    renormalize();
    return value;
  }

  // After terminate(1): flushes, writes the stop bit and zeros up to a byte.
  // Returns the bytes written so far; the coder then starts afresh (same contexts;
  // assign contexts() as the syntax asks) for a substream that follows.
  size_t finish_substream();
  // finish_substream(), and hands the bytes over.
  std::vector<uint8_t> finish();

  // The arithmetic coder's state, for a loop that keeps it in registers (residual_encoder.cc): between its
  // start and its end it may hand back the state to have pending bits moved out.
  struct Registers {
    uint64_t low;
    uint32_t range;  // 256..510
    int pending;     // below 32 between calls; move_out() takes up to 54
  };
  Registers registers() const { return {low_, range_, pending_}; }
  void set_registers(const Registers& r) { low_ = r.low, range_ = r.range, pending_ = r.pending; }
  Registers move_out(const Registers& r) {
    set_registers(r);
    flush_bytes();
    return registers();
  }

  ContextSet& contexts() { return contexts_; }
  const ContextSet& contexts() const { return contexts_; }

 private:
  void renormalize() {
    const int shift = std::countl_zero(range_) - 23;  // range back to 256..510
    range_ <<= shift;
    low_ <<= shift;
    pending_ += shift;
    if (pending_ >= 32) flush_bytes();
  }
  void bypass_up_to_16(uint32_t value, int count) {
    low_ = (low_ << count) + uint64_t{range_} * value;
    pending_ += count;
    if (pending_ >= 32) flush_bytes();
  }
  void flush_bytes();

  ContextSet contexts_;
  uint64_t low_ = 0;  // 9 + pending_ bits of the code, one more when a carry waits
  uint32_t range_ = 510;
  int pending_ = 0;  // < 32 between calls
  std::vector<uint8_t> bytes_;
};

}  // namespace llmcodec::vvc
