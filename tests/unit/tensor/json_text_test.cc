// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/json_text.h"

#include "base/limits.h"
#include "tensor_test_files.h"

namespace llmcodec {
namespace {

using nlohmann::json;
using nlohmann::ordered_json;

// `levels` of `open` inside each other, ended where `close` says so.
std::string nested(size_t levels, const std::string& open, const std::string& close) {
  std::string text;
  for (size_t i = 0; i < levels; ++i) text += open;
  text += "1";
  for (size_t i = 0; i < levels; ++i) text += close;
  return text;
}

TEST(JsonText, values_are_what_nlohmanns_own_parser_makes_of_them) {
  for (const char* text :
       {R"({"b":[1,-2,0.5,1e300,true,false,null,"x\u00e9\n",[],{}],"a":{"c":{"d":[[0]]}}})", "3", "\"s\"",
        "[[1,[2]],[3]]", R"({"k":1,"k":{"l":2},"m":[]})", " {} ", "18446744073709551615"}) {
    const auto value = parse_json_value<json>(text);
    ASSERT_OK(value);
    EXPECT_EQ(*value, json::parse(text)) << text;
    EXPECT_EQ(value->dump(), json::parse(text).dump()) << "the same kinds of numbers";
    const auto ordered = parse_json_value<ordered_json>(text);
    ASSERT_OK(ordered);
    EXPECT_EQ(ordered->dump(), ordered_json::parse(text).dump());
  }
}

TEST(JsonText, nesting_ends_at_the_limit) {
  for (const auto& [open, close] : {std::pair("[", "]"), std::pair("{\"k\":", "}"), std::pair("[0,", "]")}) {
    ASSERT_OK(parse_json_value<json>(nested(kMaxJsonDepth, open, close)));
    expect_error(parse_json_value<json>(nested(kMaxJsonDepth + 1, open, close)), ErrorKind::kLimit,
                 "64 levels");
    expect_error(parse_json_value<ordered_json>(nested(200'000, open, close)), ErrorKind::kLimit,
                 "64 levels");
  }
  expect_error(parse_json_value<json>(std::string(1 << 20, '[')), ErrorKind::kLimit, "64 levels");
}

TEST(JsonText, broken_texts_are_corrupt) {
  for (const char* text : {"", "{", "[1,]", "{\"a\"}", "1 2", "nul", "\"\x80\"", "1e999", "[}"})
    expect_error(parse_json_value<json>(text), ErrorKind::kCorrupt, "not valid JSON");
}

}  // namespace
}  // namespace llmcodec
