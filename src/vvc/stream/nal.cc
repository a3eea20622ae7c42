// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/stream/nal.h"

#include <algorithm>
#include <cstring>

#include "base/error.h"

namespace llmcodec::vvc {
namespace {

constexpr std::byte kZero{0};
constexpr std::byte kEmulationPrevention{3};

// The position of the next 00 00 01 at or after `from`, or the size when there is none.
size_t find_start_code(std::span<const std::byte> stream, size_t from) {
  size_t at = from + 2;
  while (at < stream.size()) {
    const void* hit = std::memchr(stream.data() + at, 1, stream.size() - at);
    if (hit == nullptr) break;
    at = static_cast<size_t>(static_cast<const std::byte*>(hit) - stream.data());
    if (stream[at - 1] == kZero && stream[at - 2] == kZero) return at - 2;
    ++at;
  }
  return stream.size();
}

// H.266 (V3, 09/2023) 7.3.1.2 NAL unit header syntax
Result<NalUnit> parse_nal_header(std::span<const std::byte> unit, uint64_t offset) {
  if (unit.size() < 2)
    return error(ErrorKind::kCorrupt, "NAL unit of {} bytes has no header", unit.size()).at_offset(offset);
  const auto first = std::to_integer<uint32_t>(unit[0]);
  const auto second = std::to_integer<uint32_t>(unit[1]);
  if ((first & 0xC0) != 0)
    return error(ErrorKind::kCorrupt, "NAL unit header starts with a one").at_offset(offset);
  if ((second & 7) == 0) return error(ErrorKind::kCorrupt, "nuh_temporal_id_plus1 is 0").at_offset(offset);
  NalUnit nal;
  nal.layer_id = static_cast<uint8_t>(first);
  nal.type = static_cast<NalType>(second >> 3);
  nal.payload = unit.subspan(2);
  nal.offset = offset;
  return nal;
}

}  // namespace

Result<std::vector<NalUnit>> split_annexb(std::span<const std::byte> stream) {
  std::vector<NalUnit> units;
  size_t start_code = find_start_code(stream, 0);
  for (size_t i = 0; i < start_code; ++i) {
    if (stream[i] != kZero)
      return error(ErrorKind::kCorrupt, "no start code at the start of the stream").at_offset(i);
  }
  while (start_code < stream.size()) {
    const size_t begin = start_code + 3;
    const size_t next = find_start_code(stream, begin);
    size_t end = next;
    while (end > begin && stream[end - 1] == kZero) --end;
    if (end > begin) {
      LLMC_ASSIGN_OR_RETURN(NalUnit unit, parse_nal_header(stream.subspan(begin, end - begin), begin));
      units.push_back(unit);
    }
    start_code = next;
  }
  return units;
}

std::vector<std::byte> unescape(std::span<const std::byte> payload) {
  std::vector<std::byte> rbsp;
  rbsp.reserve(payload.size());
  size_t copied = 0;
  for (size_t at = 2; at < payload.size(); ++at) {
    const void* hit = std::memchr(payload.data() + at, 3, payload.size() - at);
    if (hit == nullptr) break;
    at = static_cast<size_t>(static_cast<const std::byte*>(hit) - payload.data());
    if (payload[at - 1] != kZero || payload[at - 2] != kZero) continue;
    rbsp.insert(rbsp.end(), payload.begin() + copied, payload.begin() + at);
    copied = at + 1;
    ++at;  // the next 03 needs two zeros after this one
  }
  rbsp.insert(rbsp.end(), payload.begin() + std::min(copied, payload.size()), payload.end());
  return rbsp;
}

void append_nal(std::vector<std::byte>& stream, NalType type, std::span<const std::byte> rbsp,
                StartCode start_code) {
  if (start_code == StartCode::kLong) stream.push_back(kZero);
  stream.insert(stream.end(), {kZero, kZero, std::byte{1}});
  stream.push_back(kZero);  // nuh_layer_id 0
  stream.push_back(static_cast<std::byte>(static_cast<uint8_t>(type) << 3 | 1));
  unsigned zeros = 0;
  for (std::byte byte : rbsp) {
    if (zeros == 2 && byte <= kEmulationPrevention) {
      stream.push_back(kEmulationPrevention);
      zeros = 0;
    }
    stream.push_back(byte);
    zeros = byte == kZero ? zeros + 1 : 0;
  }
}

}  // namespace llmcodec::vvc
