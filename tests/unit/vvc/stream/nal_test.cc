// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/stream/nal.h"

#include <gtest/gtest.h>

#include <random>

#include "byte_list.h"

namespace llmcodec::vvc {
namespace {

TEST(Nal, emulation_prevention_both_ways) {
  std::mt19937 random(2);
  for (int round = 0; round < 500; ++round) {
    std::vector<std::byte> rbsp(random() % 200);
    for (std::byte& byte : rbsp) byte = static_cast<std::byte>(random() % 5 == 0 ? 1 + random() % 4 : 0);
    rbsp.push_back(std::byte{0x80});
    std::vector<std::byte> stream;
    append_nal(stream, NalType::kPps, rbsp, round % 2 ? StartCode::kLong : StartCode::kShort);
    auto units = split_annexb(stream);
    ASSERT_TRUE(units.is_ok()) << units.error().to_string();
    ASSERT_EQ(units->size(), 1u);
    EXPECT_EQ((*units)[0].type, NalType::kPps);
    EXPECT_EQ(unescape((*units)[0].payload), rbsp);
  }
}

TEST(Nal, known_escapes) {
  const auto payload = bytes({0, 0, 3, 0, 0, 3, 1, 0, 0, 3, 3, 0, 0, 4});
  EXPECT_EQ(unescape(payload), bytes({0, 0, 0, 0, 1, 0, 0, 3, 0, 0, 4}));
}

TEST(Nal, splits_units_and_drops_zero_bytes) {
  const auto stream =
      bytes({0, 0, 0, 1, 0, 0x79, 5, 0, 0, 0, 1, 0, 0x41, 0x80, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0x81, 9, 0});
  auto units = split_annexb(stream);
  ASSERT_TRUE(units.is_ok()) << units.error().to_string();
  ASSERT_EQ(units->size(), 3u);
  EXPECT_EQ((*units)[0].type, NalType::kSps);
  EXPECT_EQ((*units)[0].payload.size(), 1u);
  EXPECT_EQ((*units)[1].type, NalType::kIdrNoLp);
  EXPECT_EQ((*units)[2].type, NalType::kPps);
  EXPECT_EQ((*units)[2].payload.size(), 1u);
  EXPECT_EQ((*units)[2].offset, 22u);
}

TEST(Nal, corrupt_streams) {
  for (const auto& stream :
       {bytes({1, 2, 3}), bytes({5, 0, 0, 1, 0, 0x79, 1}), bytes({0, 0, 1, 9}),
        bytes({0, 0, 1, 0x80, 0x79, 1}), bytes({0, 0, 1, 0x40, 0x79, 1}), bytes({0, 0, 1, 0, 0x78, 1})}) {
    auto units = split_annexb(stream);
    ASSERT_FALSE(units.is_ok());
    EXPECT_EQ(units.error().kind, ErrorKind::kCorrupt);
  }
  EXPECT_TRUE(split_annexb({}).value().empty());
}

}  // namespace
}  // namespace llmcodec::vvc
