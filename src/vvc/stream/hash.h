// SPDX-License-Identifier: BSD-3-Clause
// Hashes of a decoded picture, as the decoded picture hash SEI message carries them (H.274):
// MD5, CRC and checksum of one luma component.
//
// Example (const Plane& picture, std::span<const std::byte> bytes):
//
//   const PictureHash hash = picture_hash(HashType::kMd5, picture.view(), 10);
//   Md5 md5;
//   md5.update(bytes);
//   const std::array<std::byte, 16> digest = md5.finish();
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "llmcodec/plane.h"
#include "vvc/stream/header_syntax.h"

namespace llmcodec::vvc {

// MD5 (RFC 1321), for checksums only.
class Md5 {
 public:
  void update(std::span<const std::byte> bytes);
  std::array<std::byte, 16> finish();

 private:
  void block(const std::byte* bytes);
  std::array<uint32_t, 4> state_ = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
  std::array<std::byte, 64> buffer_{};
  uint64_t size_ = 0;
};

// Over the whole coded picture, before the conformance window.
// Samples are one byte each at 8 bits, else two bytes, little-endian.
PictureHash picture_hash(HashType type, PlaneView picture, int bit_depth);

}  // namespace llmcodec::vvc
