// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/cabac/cabac_decoder.h"

namespace llmcodec::vvc {

// H.266 9.3.2.5 Initialization process for the arithmetic decoding engine
CabacDecoder::CabacDecoder(std::span<const uint8_t> data, const ContextSet& contexts)
    : data_(data), contexts_(contexts) {
  extra_ = -9;
  refill();
  // The clause forbids an offset of 510 or 511;
  // the decoder's invariant value_ < range_ << extra_ must hold anyway.
  const uint64_t limit = uint64_t{range_} << extra_;
  invalid_start_ = value_ >= limit;
  if (invalid_start_) value_ = limit - 1;
}

void CabacDecoder::refill() {
  while (extra_ <= 55 - 8) {
    const uint8_t byte = position_ < data_.size() ? data_[position_] : 0;
    value_ = value_ << 8 | byte;
    ++position_;
    extra_ += 8;
  }
}

int CabacDecoder::unary_bypass(int /*ones*/, int max) {
  const uint32_t bins = peek_bypass(max);
  const int ones = std::countl_one(bins << (32 - max));
  if (ones >= max) {
    drop_bypass(bins, max);
    return max;
  }
  drop_bypass(bins >> (max - ones - 1), ones + 1);
  return ones;
}

// The last of the bits_used() bits is the stop bit: 9 bits of look-ahead reach just that far (9.3.4.3.5).
bool CabacDecoder::ends_cleanly() const {
  if (overrun() || bits_used() == 0) return false;
  const uint64_t used = bits_used();
  const uint8_t last = data_[(used - 1) / 8];
  const int below = static_cast<int>((8 - used % 8) % 8);
  return (last & ((2 << below) - 1)) == (1 << below);
}

}  // namespace llmcodec::vvc
