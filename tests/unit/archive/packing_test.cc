// SPDX-License-Identifier: BSD-3-Clause
#include "archive/packing.h"

#include "../tensor/tensor_test_files.h"

namespace llmcodec {
namespace {

TEST(Packing, damage_truncation_and_bombs_are_errors) {
  const std::vector<std::byte> content(100'000, std::byte{7});
  std::vector<std::byte> packed = pack(content);
  ASSERT_OK(unpack(packed, content.size()));
  expect_error(unpack(packed, content.size() - 1), ErrorKind::kLimit, "100000 bytes");
  expect_error(unpack(std::span(packed).first(packed.size() - 1), content.size()), ErrorKind::kCorrupt,
               "zstd");
  std::vector<std::byte> padded = packed;
  padded.resize(padded.size() + 8);
  const auto unpacked = unpack(padded, content.size());
  ASSERT_OK(unpacked);
  EXPECT_EQ(*unpacked, content);
  packed[0] ^= std::byte{1};
  expect_error(unpack(packed, content.size()), ErrorKind::kCorrupt, "zstd");
}

}  // namespace
}  // namespace llmcodec
