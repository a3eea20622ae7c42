// SPDX-License-Identifier: BSD-3-Clause
#include "archive/packing.h"

#include "../tensor/tensor_test_files.h"
#include "base/limits.h"

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

TEST(Packing, what_is_stored_lets_the_reader_unpack) {
  EXPECT_EQ(stored_bytes(10, 40, 0), 16u);
  EXPECT_EQ(stored_bytes(10, kUnpackedBytesOfAnyFile, 0), 16u);
  for (const uint64_t content : {kUnpackedBytesOfAnyFile + 1, uint64_t{50'000'001}}) {
    for (const uint64_t file : {uint64_t{0}, uint64_t{80}, uint64_t{500'000}, uint64_t{1} << 40}) {
      const uint64_t stored = stored_bytes(100, content, file);
      EXPECT_LE(content, max_unpacked_bytes(file + stored));
      EXPECT_LE(stored, std::max<uint64_t>(104, content / kUnpackedBytesPerFileByte + 8));
    }
  }
}

}  // namespace
}  // namespace llmcodec
