// SPDX-License-Identifier: BSD-3-Clause
#include "plan/plan_rules.h"

#include "../tensor/tensor_test_files.h"
#include "plan/tensor_plan.h"

namespace llmcodec {
namespace {

Result<PlanRules> parse_rules(std::vector<std::string> set, std::vector<std::string> keep) {
  CompressOptions options;
  options.set = std::move(set);
  options.keep = std::move(keep);
  return PlanRules::parse(options);
}

TensorDraft drafted(const std::string& name) {
  TensorDraft draft;
  draft.name = name;
  draft.code = true;
  return draft;
}

TEST(PlanRules, later_rules_win_and_keep_comes_last) {
  auto rules =
      parse_rules({"ffn=step_octaves:0.5", "ffn_down=step_octaves:-1", "ffn=layout:spatial"}, {"ffn_up"});
  ASSERT_OK(rules);
  TensorDraft down = drafted("blk.0.ffn_down.weight"), up = drafted("blk.0.ffn_up.weight");
  ASSERT_OK(rules->apply(&down));
  ASSERT_OK(rules->apply(&up));
  EXPECT_EQ(down.step_octaves, -1);
  EXPECT_EQ(down.layout, Layout::kSpatial);
  EXPECT_TRUE(down.code);
  EXPECT_EQ(up.step_octaves, 0.5);
  EXPECT_FALSE(up.code);
  ASSERT_OK(rules->check_all_matched());
}

TEST(PlanRules, a_rule_that_matched_nothing_is_named) {
  auto rules = parse_rules({"no_such=bit_depth:8"}, {});
  ASSERT_OK(rules);
  TensorDraft draft = drafted("a.weight");
  ASSERT_OK(rules->apply(&draft));
  expect_error(rules->check_all_matched(), ErrorKind::kInvalidArgument, "no_such");
}

TEST(PlanRules, nonsense_is_refused_with_its_text) {
  expect_error(parse_rules({"a=colour:red"}, {}), ErrorKind::kInvalidArgument, "colour");
  expect_error(parse_rules({"no equals sign"}, {}), ErrorKind::kInvalidArgument, "no equals sign");
  expect_error(parse_rules({"(=bit_depth:8"}, {}), ErrorKind::kInvalidArgument, "regular expression");
  expect_error(parse_rules({}, {"["}), ErrorKind::kInvalidArgument, "regular expression");
}

TEST(PlanRules, names_of_any_length_are_matched_in_linear_time) {
  // std::regex crashed on the first of these, and would need longer than the universe has for the second.
  for (const char* pattern : {".*norm.*", "^(x+x+)+y|norm$"}) {
    auto rules = parse_rules({}, {pattern});
    ASSERT_OK(rules);
    TensorDraft named = drafted(std::string(100'000, 'x') + ".norm");
    TensorDraft other = drafted(std::string(100'000, 'x'));
    ASSERT_OK(rules->apply(&named));
    ASSERT_OK(rules->apply(&other));
    EXPECT_FALSE(named.code) << pattern;
    EXPECT_TRUE(other.code) << pattern;
  }
}

TEST(PlanRules, patterns_that_only_backtracking_could_match_are_refused) {
  for (const char* pattern : {"(?=a)b", "(?!a)b", "(?<=a)b", R"((a)\1)"})
    expect_error(parse_rules({}, {pattern}), ErrorKind::kInvalidArgument,
                 "no look-around and no back-references");
  EXPECT_FALSE(parse_rules({}, {"((a{100}){100}){100}"}).is_ok()) << "would need too much memory";
}

TEST(PlanRules, the_first_key_splits_a_rule) {
  auto rules = parse_rules({"a=b=codec:libx265:preset=medium"}, {});
  ASSERT_OK(rules);
  TensorDraft draft = drafted("a=b");
  ASSERT_OK(rules->apply(&draft));
  EXPECT_EQ(draft.codec, "libx265:preset=medium");
}

TEST(PlanRules, values_that_a_key_does_not_take_are_refused) {
  for (const char* rule :
       {"a=bit_depth:7", "a=bit_depth:17", "a=bit_depth:8.5", "a=bit_depth:ten", "a=step_octaves:1e9",
        "a=step_octaves:nan", "a=layout:diagonal", "a=action:maybe", "a=asymmetric:1", "a=scales:group:0"}) {
    auto rules = parse_rules({rule}, {});
    ASSERT_OK(rules);
    TensorDraft draft = drafted("a");
    EXPECT_FALSE(rules->apply(&draft).is_ok()) << rule;
  }
}

TEST(PlanRules, code_and_keep_are_actions_and_keep_comes_last) {
  CompressOptions options;
  options.set = {"a=action:keep"};
  options.code = {"a|b"};
  options.keep = {"b"};
  auto rules = PlanRules::parse(options);
  ASSERT_OK(rules);
  TensorDraft a{.name = "a"}, b{.name = "b"};
  const auto forced = rules->apply(&a);
  ASSERT_OK(forced);
  EXPECT_TRUE(*forced && a.code);
  ASSERT_OK(rules->apply(&b));
  EXPECT_FALSE(b.code);
  options.code = {"("};
  expect_error(PlanRules::parse(options), ErrorKind::kInvalidArgument, "regular expression");
}

}  // namespace
}  // namespace llmcodec
