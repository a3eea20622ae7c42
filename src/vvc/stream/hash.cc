// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/stream/hash.h"

#include <algorithm>
#include <bit>
#include <vector>

namespace llmcodec::vvc {
namespace {

// floor(2^32 * |sin(i + 1)|), RFC 1321.
constexpr uint32_t kSines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};
constexpr int kRotations[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

uint32_t load_le32(const std::byte* p) {
  return std::to_integer<uint32_t>(p[0]) | std::to_integer<uint32_t>(p[1]) << 8 |
         std::to_integer<uint32_t>(p[2]) << 16 | std::to_integer<uint32_t>(p[3]) << 24;
}

// The mixing function and the message word of step i.
struct Md5Step {
  uint32_t mix;
  int word;
};
Md5Step md5_step(int i, uint32_t b, uint32_t c, uint32_t d) {
  switch (i / 16) {
    case 0:
      return {(b & c) | (~b & d), i};
    case 1:
      return {(d & b) | (~d & c), (5 * i + 1) % 16};
    case 2:
      return {b ^ c ^ d, (3 * i + 5) % 16};
    default:
      return {c ^ (b | ~d), (7 * i) % 16};
  }
}

// One row as bytes: one per sample at 8 bits, two above.
void row_bytes(std::span<const uint16_t> row, int bit_depth, std::vector<std::byte>& bytes) {
  bytes.clear();
  for (uint16_t sample : row) {
    bytes.push_back(static_cast<std::byte>(sample & 0xFF));
    if (bit_depth > 8) bytes.push_back(static_cast<std::byte>(sample >> 8));
  }
}

std::vector<std::byte> big_endian(uint32_t value, int bytes) {
  std::vector<std::byte> out;
  for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<std::byte>(value >> (8 * i)));
  return out;
}

std::vector<std::byte> picture_md5(PlaneView picture, int bit_depth) {
  Md5 hash;
  std::vector<std::byte> bytes;
  for (size_t y = 0; y < picture.rows; ++y) {
    row_bytes(picture.row(y), bit_depth, bytes);
    hash.update(bytes);
  }
  const auto digest = hash.finish();
  return {digest.begin(), digest.end()};
}

// CRC-16 with polynomial 0x1021 over the samples' bits, low byte first.
uint32_t picture_crc(PlaneView picture, int bit_depth) {
  uint32_t crc = 0xFFFF;
  const auto push_bit = [&crc](uint32_t bit) {
    const uint32_t top = (crc >> 15) & 1;
    crc = ((crc << 1 | bit) & 0xFFFF) ^ (top * 0x1021);
  };
  std::vector<std::byte> bytes;
  for (size_t y = 0; y < picture.rows; ++y) {
    row_bytes(picture.row(y), bit_depth, bytes);
    for (std::byte byte : bytes)
      for (int bit = 7; bit >= 0; --bit) push_bit(std::to_integer<uint32_t>(byte) >> bit & 1);
  }
  for (int bit = 0; bit < 16; ++bit) push_bit(0);
  return crc;
}

uint32_t picture_checksum(PlaneView picture, int bit_depth) {
  uint32_t sum = 0;
  for (size_t y = 0; y < picture.rows; ++y) {
    for (size_t x = 0; x < picture.cols; ++x) {
      const auto mask = static_cast<uint32_t>((x & 0xFF) ^ (y & 0xFF) ^ (x >> 8) ^ (y >> 8));
      const uint32_t sample = picture.at(y, x);
      sum += (sample & 0xFF) ^ (mask & 0xFF);
      if (bit_depth > 8) sum += (sample >> 8) ^ (mask & 0xFF);
    }
  }
  return sum;
}

}  // namespace

void Md5::block(const std::byte* bytes) {
  uint32_t a = state_[0], b = state_[1], c = state_[2], d = state_[3];
  for (int i = 0; i < 64; ++i) {
    const Md5Step step = md5_step(i, b, c, d);
    const uint32_t sum =
        a + step.mix + kSines[i] + load_le32(bytes + size_t{4} * static_cast<size_t>(step.word));
    a = d;
    d = c;
    c = b;
    b += std::rotl(sum, kRotations[i / 16][i % 4]);
  }
  state_[0] += a;
  state_[1] += b;
  state_[2] += c;
  state_[3] += d;
}

void Md5::update(std::span<const std::byte> bytes) {
  size_t filled = size_ % 64;
  size_ += bytes.size();
  if (filled > 0) {
    const size_t taken = std::min(64 - filled, bytes.size());
    std::copy_n(bytes.begin(), taken, buffer_.begin() + filled);
    bytes = bytes.subspan(taken);
    filled += taken;
    if (filled < 64) return;
    block(buffer_.data());
  }
  for (; bytes.size() >= 64; bytes = bytes.subspan(64)) block(bytes.data());
  std::copy(bytes.begin(), bytes.end(), buffer_.begin());
}

std::array<std::byte, 16> Md5::finish() {
  const uint64_t bits = size_ * 8;
  std::byte padding[72] = {std::byte{0x80}};
  const size_t zeros = (119 - size_ % 64) % 64;
  for (int i = 0; i < 8; ++i) padding[1 + zeros + i] = static_cast<std::byte>(bits >> (8 * i));
  update({padding, 1 + zeros + 8});
  std::array<std::byte, 16> digest{};
  for (int i = 0; i < 16; ++i) digest[i] = static_cast<std::byte>(state_[i / 4] >> (8 * (i % 4)));
  return digest;
}

PictureHash picture_hash(HashType type, PlaneView picture, int bit_depth) {
  switch (type) {
    case HashType::kMd5:
      return {type, picture_md5(picture, bit_depth)};
    case HashType::kCrc:
      return {type, big_endian(picture_crc(picture, bit_depth), 2)};
    default:
      return {type, big_endian(picture_checksum(picture, bit_depth), 4)};
  }
}

}  // namespace llmcodec::vvc
