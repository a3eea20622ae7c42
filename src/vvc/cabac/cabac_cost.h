// SPDX-License-Identifier: BSD-3-Clause
// Prices syntax instead of writing it: the methods of CabacEncoder, but the result is a number of bits. The
// models stay frozen, as the search wants it. The price of a bin is the interval width that the coder will
// really lose, with its 6-bit probability and the least LPS range, averaged over the ranges it may meet.
//
// Example (const ContextSet& contexts, const TransformBlock& block, int last):
//
//   CabacCost cost(contexts);
//   residual_coding(cost, block, last);
//   const double bits = static_cast<double>(cost.bits()) / kBit;
#pragma once

#include <cstdint>

#include "vvc/cabac/contexts.h"

namespace llmcodec::vvc {

// One bit, in the unit of all rates: 2^-15 bit.
inline constexpr int kLog2Bit = 15;
inline constexpr uint32_t kBit = 1u << kLog2Bit;

// Price of `bin` when the model says P(1) = probability * 2^-15, in 2^-15 bit.
uint32_t bin_cost(int probability, int bin);

class CabacCost {
 public:
  explicit CabacCost(const ContextSet& contexts) : contexts_(&contexts) {}

  int bin(int value, int context) {
    bits_ += bin_cost((*contexts_)[context].probability(), value);
    return value;
  }
  uint32_t bypass(uint32_t value, int count) {
    bits_ += uint64_t{kBit} * static_cast<uint32_t>(count);
    return value;
  }
  int unary_bypass(int ones, int max) {
    bits_ += uint64_t{kBit} * static_cast<uint32_t>(ones + (ones != max));
    return ones;
  }
  // 2^-15 bit.
  uint64_t bits() const { return bits_; }

 private:
  const ContextSet* contexts_;
  uint64_t bits_ = 0;
};

}  // namespace llmcodec::vvc
