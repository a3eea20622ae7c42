// SPDX-License-Identifier: BSD-3-Clause
// Bits of a raw byte sequence payload (RBSP: a NAL unit's payload without emulation prevention bytes).
//
// Example (std::span<const std::byte> rbsp):
//
//   BitReader in(rbsp);
//   const uint32_t id = in.u(4);
//   const uint32_t width = in.ue();
//   if (!in.ok()) return error(ErrorKind::kCorrupt, "header ends early");
//
//   BitWriter out;
//   out.u(4, id);
//   out.ue(width);
//   out.u(1, 1);                                             // rbsp_stop_one_bit
//   const std::vector<std::byte> written = out.take();       // zeros fill the last byte
//
// BitReader views its bytes, which must outlive it. Reading past the end gives zeros and makes ok() false
// for good, so callers may test once per header. BitWriter owns its bytes. Neither throws.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"

namespace llmcodec::vvc {

class BitReader {
 public:
  explicit BitReader(std::span<const std::byte> rbsp) : bytes_(rbsp) {}

  // The next `bits` (0..32) bits, most significant first.
  uint32_t u(unsigned bits);
  // Exp-Golomb, H.266 9.2. ok() becomes false for more than 32 leading zeros or a value above 2^32 - 2.
  uint32_t ue();
  int32_t se();

  bool ok() const { return ok_; }
  bool byte_aligned() const { return position_ % 8 == 0; }
  uint64_t bits_left() const { return bytes_.size() * 8 - position_; }
  // The bytes not yet read; precondition: byte_aligned().
  std::span<const std::byte> rest() const { return bytes_.subspan(position_ / 8); }
  // True when more than the trailing bits (a 1, then zeros to the end) is left: more_rbsp_data().
  bool more_rbsp_data() const;

 private:
  std::span<const std::byte> bytes_;
  uint64_t position_ = 0;
  bool ok_ = true;
};

class BitWriter {
 public:
  // Appends the low `bits` (0..32) bits of value.
  void u(unsigned bits, uint32_t value);
  void ue(uint32_t value);  // value <= 2^32 - 2
  void se(int32_t value);   // value > -2^31
  // Precondition: byte_aligned().
  void append(std::span<const std::byte> bytes);

  bool byte_aligned() const { return free_bits_ == 0; }
  const std::vector<std::byte>& bytes() const { return bytes_; }
  std::vector<std::byte> take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
  unsigned free_bits_ = 0;  // unused low bits of the last byte
};

}  // namespace llmcodec::vvc
