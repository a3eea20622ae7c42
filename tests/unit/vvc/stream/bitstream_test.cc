// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/stream/bitstream.h"

#include <gtest/gtest.h>

#include <random>

#include "byte_list.h"

namespace llmcodec::vvc {
namespace {

TEST(Bitstream, round_trip_of_mixed_codes) {
  std::mt19937 random(1);
  struct Code {
    int kind;
    unsigned bits;
    uint32_t value;
  };
  std::vector<Code> codes;
  BitWriter out;
  for (int i = 0; i < 20000; ++i) {
    Code code{static_cast<int>(random() % 3), static_cast<unsigned>(random() % 33), 0};
    code.value = code.bits == 0 ? 0 : static_cast<uint32_t>(random()) >> (32 - code.bits);
    if (code.kind == 1) code.value = std::min(code.value, 0xFFFFFFFEu);
    if (code.kind == 2) code.value >>= 1;
    if (code.kind == 0) out.u(code.bits, code.value);
    if (code.kind == 1) out.ue(code.value);
    if (code.kind == 2)
      out.se((i & 1) ? static_cast<int32_t>(code.value) : -static_cast<int32_t>(code.value));
    codes.push_back(code);
  }
  out.u(1, 1);  // rbsp_stop_one_bit
  BitReader in(out.bytes());
  for (size_t i = 0; i < codes.size(); ++i) {
    const Code& code = codes[i];
    if (code.kind == 0) {
      ASSERT_EQ(in.u(code.bits), code.value) << i;
    }
    if (code.kind == 1) {
      ASSERT_EQ(in.ue(), code.value) << i;
    }
    if (code.kind == 2) {
      const auto magnitude = static_cast<int32_t>(code.value);
      ASSERT_EQ(in.se(), (i & 1) ? magnitude : -magnitude) << i;
    }
    ASSERT_EQ(in.more_rbsp_data(), i + 1 < codes.size()) << i;
  }
  EXPECT_TRUE(in.ok());
}

TEST(Bitstream, known_exp_golomb_codes) {
  // 1, 010, 011, 00100 and se 1, -1, 2 with the same codes
  const auto data = bytes({0b10100110, 0b01000100, 0b11001000});
  BitReader in(data);
  EXPECT_EQ(in.ue(), 0u);
  EXPECT_EQ(in.ue(), 1u);
  EXPECT_EQ(in.ue(), 2u);
  EXPECT_EQ(in.ue(), 3u);
  EXPECT_EQ(in.se(), 1);
  EXPECT_EQ(in.se(), -1);
  EXPECT_EQ(in.se(), 2);
  EXPECT_TRUE(in.ok());
}

TEST(Bitstream, overrun_sticks_and_gives_zeros) {
  const auto data = bytes({0xFF});
  BitReader in(data);
  EXPECT_EQ(in.u(9), 0u);
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.u(1), 0u);
  EXPECT_EQ(in.ue(), 0u);
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.bits_left(), 0u);
}

TEST(Bitstream, too_many_leading_zeros_overflow) {
  auto data = bytes({0, 0, 0, 0, 0x40, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF});  // 33 zeros
  BitReader in(data);
  EXPECT_EQ(in.ue(), 0u);
  EXPECT_FALSE(in.ok());
  data[4] = std::byte{0x80};  // 32 zeros, then a suffix of ones: 2^33 - 2
  BitReader large(data);
  EXPECT_EQ(large.ue(), 0u);
  EXPECT_FALSE(large.ok());
  data = bytes({0, 0, 0, 0, 0x80, 0, 0, 0, 0});  // 32 zeros, suffix 0: 2^32 - 1, one more than fits
  BitReader just_above(data);
  EXPECT_EQ(just_above.ue(), 0u);
  EXPECT_FALSE(just_above.ok());
  data = bytes({0, 0, 0, 1, 0xFF, 0xFF, 0xFF, 0xFE});  // 31 zeros
  BitReader largest(data);
  EXPECT_EQ(largest.ue(), 0xFFFFFFFEu);
  EXPECT_TRUE(largest.ok());
}

}  // namespace
}  // namespace llmcodec::vvc
