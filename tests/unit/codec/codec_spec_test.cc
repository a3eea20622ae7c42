// SPDX-License-Identifier: BSD-3-Clause
#include "codec/codec_spec.h"

#include <gtest/gtest.h>

namespace llmcodec {
namespace {

TEST(CodecSpec, name_alone) {
  const auto spec = parse_codec_spec("raw");
  ASSERT_TRUE(spec.is_ok());
  EXPECT_EQ(spec->name, "raw");
  EXPECT_TRUE(spec->options.empty());
}

TEST(CodecSpec, colons_and_equals_inside_values) {
  const auto spec = parse_codec_spec("libx265:preset=slow,x265-params=rd=4:rdoq-level=2,q:v=3");
  ASSERT_TRUE(spec.is_ok());
  EXPECT_EQ(*spec->find("preset"), "slow");
  EXPECT_EQ(*spec->find("x265-params"), "rd=4:rdoq-level=2");
  EXPECT_EQ(*spec->find("q:v"), "3");
  EXPECT_EQ(spec->find("absent"), nullptr);
}

TEST(CodecSpec, escapes_round_trip) {
  const std::string text = R"(libkvazaar:kvazaar-params=a=1\,b=2,path=C:\\x)";
  const auto spec = parse_codec_spec(text);
  ASSERT_TRUE(spec.is_ok());
  EXPECT_EQ(*spec->find("kvazaar-params"), "a=1,b=2");
  EXPECT_EQ(*spec->find("path"), R"(C:\x)");
  EXPECT_EQ(format_codec_spec(*spec), text);
}

TEST(CodecSpec, malformed) {
  for (const char* text : {"", ":a=b", "x:", "x:a", "x:=b", "x:a=1,", "x:a=1,a=2", "x:a=1\\"}) {
    const auto spec = parse_codec_spec(text);
    ASSERT_FALSE(spec.is_ok()) << text;
    EXPECT_EQ(spec.error().kind, ErrorKind::kInvalidArgument);
  }
}

TEST(CodecSpec, parameter_lists_merge_by_key_and_twice_is_once) {
  const std::string base = "aq-mode=0:sao=0:fast";
  const std::string merged = merge_parameter_lists(base, "sao=1:rd=4:fast", ':');
  EXPECT_EQ(merged, "aq-mode=0:sao=1:fast:rd=4");
  EXPECT_EQ(merge_parameter_lists(base, merged, ':'), merged);
  EXPECT_EQ(merge_parameter_lists("", "a=1", ','), "a=1");
  EXPECT_EQ(merge_parameter_lists("a=1", "", ','), "a=1");
}

}  // namespace
}  // namespace llmcodec
