// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/stream/hash.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace llmcodec::vvc {
namespace {

std::vector<std::byte> text_bytes(const std::string& text) {
  std::vector<std::byte> out;
  for (char c : text) out.push_back(static_cast<std::byte>(c));
  return out;
}

std::string hex(std::span<const std::byte> bytes) {
  std::string out;
  for (std::byte byte : bytes) out += fmt::format("{:02x}", std::to_integer<int>(byte));
  return out;
}

std::string md5(const std::string& text) {
  Md5 hash;
  hash.update(text_bytes(text));
  return hex(hash.finish());
}

TEST(Hash, md5_of_known_texts) {
  EXPECT_EQ(md5(""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(md5("abc"), "900150983cd24fb0d6963f7d28e17f72");
  const auto digits =
      text_bytes("12345678901234567890123456789012345678901234567890123456789012345678901234567890");
  for (size_t cut = 0; cut <= digits.size(); ++cut) {  // any split of the input gives the same digest
    Md5 hash;
    hash.update(std::span(digits).first(cut));
    hash.update(std::span(digits).subspan(cut));
    EXPECT_EQ(hex(hash.finish()), "57edf4a22be3c955ac49da2e2107b67a") << cut;
  }
}

TEST(Hash, checksum_and_crc_see_every_sample) {
  Plane plane(24, 9);
  for (HashType type : {HashType::kMd5, HashType::kCrc, HashType::kChecksum}) {
    const auto before = picture_hash(type, std::as_const(plane).view(), 10);
    for (size_t i = 0; i < 24 * 9; ++i) {
      plane.view().at(i / 24, i % 24) ^= 513;
      EXPECT_NE(picture_hash(type, std::as_const(plane).view(), 10).value, before.value) << i;
      plane.view().at(i / 24, i % 24) ^= 513;
    }
  }
}

}  // namespace
}  // namespace llmcodec::vvc
