// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/stream/bitstream.h"

#include <algorithm>
#include <bit>

namespace llmcodec::vvc {

uint32_t BitReader::u(unsigned bits) {
  if (bits > bits_left()) {
    ok_ = false;
    position_ = bytes_.size() * 8;
    return 0;
  }
  uint64_t value = 0;
  unsigned wanted = bits;
  while (wanted > 0) {
    const unsigned offset = position_ % 8;
    const unsigned taken = std::min(wanted, 8 - offset);
    const auto byte = std::to_integer<uint32_t>(bytes_[position_ / 8]);
    value = (value << taken) | ((byte >> (8 - offset - taken)) & ((1u << taken) - 1));
    position_ += taken;
    wanted -= taken;
  }
  return static_cast<uint32_t>(value);
}

// H.266 (V3, 09/2023) 9.2.1 Parsing process for k-th order Exp-Golomb codes, k = 0
uint32_t BitReader::ue() {
  unsigned leading_zeros = 0;
  while (ok_ && leading_zeros <= 32 && u(1) == 0) ++leading_zeros;
  if (!ok_) return 0;
  if (leading_zeros > 32) {
    ok_ = false;
    return 0;
  }
  const uint64_t value = (uint64_t{1} << leading_zeros) - 1 + u(leading_zeros);
  if (value > 0xFFFFFFFEull) ok_ = false;
  return ok_ ? static_cast<uint32_t>(value) : 0;
}

// H.266 (V3, 09/2023) 9.2.2 Mapping process for signed Exp-Golomb codes
int32_t BitReader::se() {
  const uint32_t k = ue();
  const auto magnitude = static_cast<int64_t>((uint64_t{k} + 1) / 2);
  return static_cast<int32_t>(k % 2 == 1 ? magnitude : -magnitude);
}

bool BitReader::more_rbsp_data() const {
  size_t last = bytes_.size();
  while (last > 0 && bytes_[last - 1] == std::byte{0}) --last;
  if (last == 0) return false;
  const auto stop_byte = std::to_integer<uint32_t>(bytes_[last - 1]);
  return position_ < last * 8 - 1 - std::countr_zero(stop_byte);
}

void BitWriter::u(unsigned bits, uint32_t value) {
  while (bits > 0) {
    if (free_bits_ == 0) {
      bytes_.push_back(std::byte{0});
      free_bits_ = 8;
    }
    const unsigned taken = std::min(bits, free_bits_);
    const uint32_t part = (value >> (bits - taken)) & ((1u << taken) - 1);
    bytes_.back() |= static_cast<std::byte>(part << (free_bits_ - taken));
    free_bits_ -= taken;
    bits -= taken;
  }
}

void BitWriter::ue(uint32_t value) {
  const uint64_t code = uint64_t{value} + 1;
  const auto suffix_bits = static_cast<unsigned>(std::bit_width(code >> 1));
  u(suffix_bits, 0);
  u(1, 1);
  u(suffix_bits, static_cast<uint32_t>(code & ((uint64_t{1} << suffix_bits) - 1)));
}

void BitWriter::se(int32_t value) {
  const int64_t wide = value;
  ue(static_cast<uint32_t>(wide > 0 ? 2 * wide - 1 : -2 * wide));
}

void BitWriter::append(std::span<const std::byte> bytes) {
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
}

}  // namespace llmcodec::vvc
