// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/cabac/cabac_encoder.h"

namespace llmcodec::vvc {

// Moves whole bytes from the top of low_ to the output; fewer than 8 pending bits stay.
void CabacEncoder::flush_bytes() {
  if (low_ >> (9 + pending_)) {  // a carry: the code so far is one unit larger
    size_t i = bytes_.size();
    while (++bytes_[--i] == 0) {  // cannot run off the front: the whole code stays below 1
    }
    low_ &= (uint64_t{1} << (9 + pending_)) - 1;
  }
  const int bytes = pending_ >> 3, kept = 9 + (pending_ & 7);
  uint64_t code = low_ >> kept;
  const size_t size = bytes_.size();
  bytes_.resize(size + static_cast<size_t>(bytes));
  for (size_t i = size + static_cast<size_t>(bytes); i > size; code >>= 8)
    bytes_[--i] = static_cast<uint8_t>(code);
  low_ &= (uint64_t{1} << kept) - 1;
  pending_ &= 7;
}

// H.266 9.3.4.3.5 (range is 2 after the terminating bin, so 8 bits of low_ are free: the first of them
// carries the stop bit of rbsp_slice_trailing_bits() or byte_alignment(), the rest is cut off)
size_t CabacEncoder::finish_substream() {
  flush_bytes();
  // pending_ + 1 bits, then the stop bit.
  const uint64_t code = (low_ >> 8 << 1 | 1) << (8 - (pending_ + 2) % 8) % 8;
  const int bits = (pending_ + 2 + 7) / 8 * 8;
  for (int shift = bits - 8; shift >= 0; shift -= 8) bytes_.push_back(static_cast<uint8_t>(code >> shift));
  low_ = 0;
  range_ = 510;
  pending_ = 0;
  return bytes_.size();
}

std::vector<uint8_t> CabacEncoder::finish() {
  finish_substream();
  return std::exchange(bytes_, {});
}

}  // namespace llmcodec::vvc
