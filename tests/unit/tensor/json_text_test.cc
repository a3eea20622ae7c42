// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/json_text.h"

#include <fmt/format.h>

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

TEST(JsonValue, the_number_of_values_is_bounded_by_the_text) {
  for (const std::string value : {"0,", "[],", "{},", "\"\","}) {
    std::string text = "[";
    for (size_t i = 0; i < 400'000; ++i) text += value;
    text.back() = ']';
    const bool fits = 400'001 <= max_json_values(text.size());
    const auto parsed = parse_json_value<json>(text);
    EXPECT_EQ(parsed.is_ok(), fits) << value;
    if (!fits) expect_error(parsed, ErrorKind::kLimit, "values");
  }
  std::string roomy = "[";  // as plans have it
  for (size_t i = 0; i < 400'000; ++i) roomy += "1234567,";
  roomy.back() = ']';
  ASSERT_OK(parse_json_value<json>(roomy));
}

constexpr std::string_view kSplit[] = {"many", "more"};

TEST(JsonEntries, come_one_by_one_and_are_not_kept) {
  std::vector<std::string> seen;
  const auto root = parse_json_entries(
      R"({"a":{"many":{"x":1}},"many":{"x":[1,{"y":2}],"":{},"z":null},"more":{},"b":[3]})", kSplit,
      [&](const std::string& member, const std::string& name, const json& value) {
        seen.push_back(member + "/" + name + "=" + value.dump());
        return Status::ok();
      });
  ASSERT_OK(root);
  EXPECT_EQ(*root, json::parse(R"({"a":{"many":{"x":1}},"many":{},"more":{},"b":[3]})"));
  EXPECT_EQ(seen, (std::vector<std::string>{R"(many/x=[1,{"y":2}])", "many/={}", "many/z=null"}));
}

TEST(JsonEntries, members_that_are_no_objects_are_kept) {
  const auto fail = [](const std::string&, const std::string&, const json&) {
    return Status(Error{ErrorKind::kInternal, "called", {}, {}, {}});
  };
  for (const char* text : {R"({"many":[{"x":1}],"more":7})", R"([{"many":{"x":1}}])", "3"}) {
    const auto root = parse_json_entries(text, kSplit, fail);
    ASSERT_OK(root);
    EXPECT_EQ(*root, json::parse(text));
  }
}

TEST(JsonEntries, the_limit_on_values_is_for_each) {
  std::string entry = "[";
  for (size_t i = 0; i < 60'000; ++i) entry += "0,";
  entry.back() = ']';
  std::string text = R"({"many":{"a":)" + entry;
  size_t count = 1;
  while (count * 60'001 <= max_json_values(text.size() + 1))
    text += fmt::format(R"(,"{}":{})", count++, entry);
  text += "}}";
  size_t entries = 0;
  ASSERT_OK(parse_json_entries(text, kSplit, [&](const std::string&, const std::string&, const json&) {
    ++entries;
    return Status::ok();
  }));
  EXPECT_EQ(entries, count);
}

TEST(JsonEntries, what_is_refused_ends_the_parsing) {
  int calls = 0;
  expect_error(parse_json_entries(R"({"many":{"x":1,"y":2}})", kSplit,
                                  [&](const std::string&, const std::string&, const json&) {
                                    ++calls;
                                    return Status(Error{ErrorKind::kUnsupported, "not this", {}, {}, {}});
                                  }),
               ErrorKind::kUnsupported, "not this");
  EXPECT_EQ(calls, 1);
}

TEST(JsonValue, a_repeated_key_is_refused_where_asked_for) {
  for (const char* text :
       {R"({"a":1,"a":1})", R"({"x":[{"a":{},"b":2,"a":{}}]})", R"({"":1,"":2})", R"({"a":1,"\u0061":2})"}) {
    expect_error(parse_json_value<json>(text, RepeatedKeys::kRefuse), ErrorKind::kCorrupt, "given twice");
    ASSERT_OK(parse_json_value<nlohmann::ordered_json>(text));
  }
  EXPECT_EQ(*parse_json_value<json>(R"({"a":1,"a":2})"), json::parse(R"({"a":2})"));
  ASSERT_OK(parse_json_value<json>(R"({"a":{"a":{"a":1}},"b":{"a":1}})", RepeatedKeys::kRefuse));
}

TEST(JsonEntries, a_repeated_key_is_refused_but_for_the_names_of_entries) {
  std::vector<std::string> seen;
  const auto visit = [&](const std::string& member, const std::string& name, const json&) {
    seen.push_back(member + "/" + name);
    return Status::ok();
  };
  for (const char* text :
       {R"({"many":{"x":1},"many":{"y":1}})", R"({"a":1,"a":1})", R"({"many":{"x":{"a":1,"a":2}}})"})
    expect_error(parse_json_entries(text, kSplit, visit), ErrorKind::kCorrupt, "given twice");
  seen.clear();
  ASSERT_OK(parse_json_entries(R"({"many":{"x":1,"x":2}})", kSplit, visit));
  EXPECT_EQ(seen, (std::vector<std::string>{"many/x", "many/x"}));
}

}  // namespace
}  // namespace llmcodec
