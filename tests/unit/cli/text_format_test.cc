// SPDX-License-Identifier: BSD-3-Clause
#include "text_format.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace llmcodec::cli {
namespace {

TEST(ParseBytes, suffixes_of_both_kinds) {
  const std::pair<const char*, uint64_t> kCases[] = {
      {"1500", 1500},      {"1.5K", 1500}, {"2gb", 2'000'000'000},    {"64KiB", 65536},
      {"4Gi", 4ull << 30}, {"1B", 1},      {"3t", 3'000'000'000'000}, {"0.5Mi", 524288}};
  for (const auto& [text, bytes] : kCases) {
    const Result<uint64_t> parsed = parse_bytes(text);
    ASSERT_TRUE(parsed.is_ok()) << text;
    EXPECT_EQ(*parsed, bytes) << text;
  }
}

TEST(ParseBytes, refuses_what_is_no_size) {
  for (const char* text :
       {"", "K", "-1", "3QB", "1.5 K", "1e3", "1KiBs", "KiB", "nan", "inf", "0", "0.2", "12iB", "1KK"}) {
    const Result<uint64_t> parsed = parse_bytes(text);
    ASSERT_FALSE(parsed.is_ok()) << text;
    EXPECT_EQ(parsed.error().kind, ErrorKind::kInvalidArgument) << text;
  }
}

TEST(ParseBytes, overflow) {
  EXPECT_FALSE(parse_bytes("9223372036854775808").is_ok());
  EXPECT_FALSE(parse_bytes("99999999T").is_ok());
  EXPECT_TRUE(parse_bytes("1000T").is_ok());
}

TEST(ParsePlaneSize, squares_rectangles_and_nonsense) {
  ASSERT_TRUE(parse_plane_size("1024").is_ok());
  EXPECT_EQ(parse_plane_size("1024")->height, 1024u);
  EXPECT_EQ(parse_plane_size("640x480")->width, 640u);
  EXPECT_EQ(parse_plane_size("640x480")->height, 480u);
  for (const char* text :
       {"", "x", "0", "10x", "x10", "10x0", "-5", "10x10x10", "99999999999", "1048577", "12a"})
    EXPECT_FALSE(parse_plane_size(text).is_ok()) << text;
}

TEST(Numbers, grouped_short_and_not_finite) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(std::numeric_limits<uint64_t>::max()), "18,446,744,073,709,551,615");
  EXPECT_EQ(short_bytes(999), "999 B");
  EXPECT_EQ(short_bytes(999'600), "1.0 MB");
  EXPECT_EQ(short_bytes(std::numeric_limits<uint64_t>::max()), "18 EB");
  EXPECT_EQ(short_duration(0.421), "0.42 s");
  EXPECT_EQ(short_duration(59.6), "1:00");
  EXPECT_EQ(short_duration(3765), "1:02:45");
  EXPECT_EQ(short_duration(std::nan("")), "?");
  EXPECT_EQ(decimals(std::numeric_limits<double>::infinity(), 2), "exact");
  EXPECT_EQ(decimals(std::nan(""), 2), "-");
}

TEST(TextTable, aligns_by_characters_not_bytes) {
  TextTable table({{"name"}, {"value", Align::kRight}, {"note"}});
  table.add({"µ", "1", ""});
  table.add({"longer", "1234567", "x"});
  EXPECT_EQ(table.to_string(),
            "name      value  note\n"
            "µ             1\n"
            "longer  1234567  x\n");
}

TEST(TextTable, cells_from_files_are_made_printable_and_a_long_one_does_not_pad_the_others) {
  TextTable table({{"name"}, {"value"}});
  table.add({"a\n\x1b[2J", "\u202e"});
  table.add({std::string(100'000, 'x'), "1"});
  const std::string text = table.to_string();
  EXPECT_NE(text.find("a\\x0a\\x1b[2J "), std::string::npos);
  EXPECT_NE(text.find("\\u202e\n"), std::string::npos);
  EXPECT_LT(text.size(), 1500u);
}

}  // namespace
}  // namespace llmcodec::cli
