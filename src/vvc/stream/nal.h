// SPDX-License-Identifier: BSD-3-Clause
// NAL units and the byte stream format (H.266 Annex B): start codes and emulation prevention, both ways.
//
// Example (std::span<const std::byte> stream):
//
//   LLMC_ASSIGN_OR_RETURN(const std::vector<NalUnit> units, split_annexb(stream));
//   std::vector<std::byte> copy;
//   for (const NalUnit& unit : units) {
//     const std::vector<std::byte> rbsp = unescape(unit.payload);      // for BitReader
//     append_nal(copy, unit.type, rbsp, StartCode::kLong);
//   }
//
// A byte stream is cut without copying: NalUnit::payload views the caller's bytes, which must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "llmcodec/status.h"

namespace llmcodec::vvc {

// H.266 table 5, the types that this codec meets; others are kept as numbers.
enum class NalType : uint8_t {
  kTrail = 0,
  kIdrWithRadl = 7,
  kIdrNoLp = 8,
  kCra = 9,
  kGdr = 10,
  kOpi = 12,
  kDci = 13,
  kVps = 14,
  kSps = 15,
  kPps = 16,
  kPrefixAps = 17,
  kSuffixAps = 18,
  kPictureHeader = 19,
  kAccessUnitDelimiter = 20,
  kEndOfSequence = 21,
  kEndOfBitstream = 22,
  kPrefixSei = 23,
  kSuffixSei = 24,
  kFillerData = 25,
};

constexpr bool is_slice(NalType type) {
  return static_cast<uint8_t>(type) <= 11;
}
constexpr bool is_idr(NalType type) {
  return type == NalType::kIdrWithRadl || type == NalType::kIdrNoLp;
}

struct NalUnit {
  NalType type = NalType::kTrail;
  uint8_t layer_id = 0;
  std::span<const std::byte> payload;  // after the two header bytes, with emulation prevention bytes
  uint64_t offset = 0;                 // of the unit's first header byte in the stream
};

// Cuts a byte stream at its start codes. Empty units (two start codes in a row) are dropped,
// as are zero bytes after a unit. An empty stream gives no units.
// Corrupt: bytes other than zero before the first start code, a unit shorter than its header,
// forbidden_zero_bit or nuh_reserved_zero_bit set, nuh_temporal_id_plus1 zero.
Result<std::vector<NalUnit>> split_annexb(std::span<const std::byte> stream);

// The RBSP of a payload: without the emulation prevention bytes (the 03 of 00 00 03).
std::vector<std::byte> unescape(std::span<const std::byte> payload);

enum class StartCode { kShort, kLong };  // 00 00 01 and 00 00 00 01

// Appends start code, header (layer 0, temporal id 0) and the payload with emulation prevention.
// An RBSP must not end in a zero byte (one that ends in rbsp_trailing_bits() never does).
void append_nal(std::vector<std::byte>& stream, NalType type, std::span<const std::byte> rbsp,
                StartCode start_code);

}  // namespace llmcodec::vvc
