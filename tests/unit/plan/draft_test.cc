// SPDX-License-Identifier: BSD-3-Clause
#include "plan/draft.h"

#include "../tensor/tensor_test_files.h"

namespace llmcodec {
namespace {

std::vector<TensorInfo> some_tensors() {
  return {{"w", Dtype::kF16, {128, 64}},
          {"small", Dtype::kF16, {8, 64}},
          {"norm", Dtype::kF32, {64}},
          {"ids", Dtype::kI32, {128, 64}},
          {"thin", Dtype::kF32, {4096, 4}}};
}

TEST(Draft, says_why_a_tensor_is_kept) {
  const auto drafts = draft_plan(some_tensors(), {});
  ASSERT_OK(drafts);
  std::vector<std::string> reasons;
  for (const TensorDraft& draft : *drafts) reasons.push_back(draft.code ? "coded" : draft.reason);
  EXPECT_EQ(reasons, (std::vector<std::string>{"coded", "under 4096 weights", "norm", "not floating point",
                                               "a side is under 8"}));
}

std::vector<bool> coded(const std::vector<TensorInfo>& tensors, const CompressOptions& options = {}) {
  const auto drafts = draft_plan(tensors, options);
  EXPECT_TRUE(drafts.is_ok());
  std::vector<bool> list;
  for (const TensorDraft& draft : *drafts) list.push_back(draft.code);
  return list;
}

TEST(Draft, roles_decide_and_options_overrule_them) {
  const std::vector<TensorInfo> tensors = {{"blk.0.ssm_a", Dtype::kF32, {512, 16}},
                                           {"h.0.attn.bias", Dtype::kF32, {1, 1, 256, 256}},
                                           {"h.0.attn.c_attn.weight", Dtype::kF32, {256, 768}},
                                           {"blk.0.ffn_gate_inp.weight", Dtype::kF32, {8, 1024}}};
  EXPECT_EQ(coded(tensors), (std::vector<bool>{false, false, true, false}));
  CompressOptions options;
  options.code = {"ssm_a|gate_inp"};
  options.keep = {"c_attn", "gate_inp"};
  EXPECT_EQ(coded(tensors, options), (std::vector<bool>{true, false, false, false}));
}

TEST(Draft, the_smallest_of_minor_roles_are_kept_up_to_a_thousandth) {
  // A thousandth is 4202 weights.
  std::vector<TensorInfo> tensors = {{"big.weight", Dtype::kF32, {2048, 2048}},
                                     {"conv.weight", Dtype::kF32, {16, 8, 8, 4}},
                                     {"wpe.weight", Dtype::kF32, {64, 65}}};
  EXPECT_EQ(coded(tensors), (std::vector<bool>{true, false, true})) << "4096 fit, 4160 more do not";
  tensors[1].shape = {16, 8, 8, 8};
  EXPECT_EQ(coded(tensors), (std::vector<bool>{true, true, false})) << "the smallest first";
}

TEST(Draft, auto_leaves_things_open_and_options_close_them) {
  const auto open = draft_plan(some_tensors(), {});
  ASSERT_OK(open);
  EXPECT_FALSE((*open)[0].scales || (*open)[0].layout || (*open)[0].bit_depth || (*open)[0].row_exponent);
  CompressOptions options;
  options.scales = "row";
  options.layout = "spatial";
  options.bit_depth = 8;
  const auto closed = draft_plan(some_tensors(), options);
  ASSERT_OK(closed);
  EXPECT_EQ((*closed)[0].scales->kind, ScaleKind::kRow);
  EXPECT_EQ((*closed)[0].row_exponent, 1.0) << "the plain kind";
  EXPECT_EQ((*closed)[0].layout, Layout::kSpatial);
  EXPECT_EQ((*closed)[0].bit_depth, 8u);
}

TEST(Draft, rules_can_code_what_is_small_but_not_what_is_no_matrix) {
  CompressOptions options;
  options.set = {"small=action:code"};
  const auto drafts = draft_plan(some_tensors(), options);
  ASSERT_OK(drafts);
  EXPECT_TRUE((*drafts)[1].code);
  options.set = {"norm=action:code"};
  expect_error(draft_plan(some_tensors(), options), ErrorKind::kInvalidArgument, "no matrix");
}

TEST(Draft, nonsense_is_refused) {
  CompressOptions options;
  options.layout = "diagonal";
  expect_error(draft_plan(some_tensors(), options), ErrorKind::kInvalidArgument, "diagonal");
  options = {};
  options.scales = "group:0";
  EXPECT_FALSE(draft_plan(some_tensors(), options).is_ok());
  options = {};
  options.keep = {"no_such_tensor"};
  expect_error(draft_plan(some_tensors(), options), ErrorKind::kInvalidArgument, "matches no tensor");
}

}  // namespace
}  // namespace llmcodec
