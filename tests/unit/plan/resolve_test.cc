// SPDX-License-Identifier: BSD-3-Clause
#include "plan/resolve.h"

#include "../tensor/tensor_test_files.h"

namespace llmcodec {
namespace {

CodecInfo codec_info(const std::string& name, std::vector<uint32_t> depths = {8, 10, 12, 16}) {
  CodecInfo info;
  info.name = name;
  info.bit_depths = std::move(depths);
  return info;
}

TensorDraft coded(const std::string& name) {
  TensorDraft draft;
  draft.name = name;
  draft.code = true;
  return draft;
}

// The plan of one tensor, of 512 x 512 weights unless `facts` has a shape.
Result<TensorPlan> resolved(const TensorDraft& draft, TensorFacts facts, PlanFacts model = {}) {
  if (facts.shape.weights() == 0) facts.shape = {1, 512, 512};
  model.tensors = {facts};
  LLMC_ASSIGN_OR_RETURN(const Plan plan, resolve({draft}, model));
  return plan.tensors[0];
}

TEST(Resolve, layout_is_spectral_where_the_codec_can) {
  const CodecInfo vvc = codec_info("vvc"), x265 = codec_info("libx265");
  EXPECT_EQ(resolved(coded("w"), {&vvc})->layout, Layout::kSpectral);
  EXPECT_EQ(resolved(coded("w"), {&x265})->layout, Layout::kSpatial);
  TensorDraft asked = coded("w");
  asked.layout = Layout::kSpatial;
  EXPECT_EQ(resolved(asked, {&vvc})->layout, Layout::kSpatial);
  asked.layout = Layout::kSpectral;
  expect_error(resolved(asked, {&x265}), ErrorKind::kInvalidArgument, "'w'");
}

TEST(Resolve, depth_is_the_deepest_up_to_ten_bits_but_raw_follows_the_target) {
  const CodecInfo deep = codec_info("libx265"), raw = codec_info("raw", {8, 9, 10, 11, 12, 13, 14, 15, 16});
  EXPECT_EQ(resolved(coded("w"), {&deep})->bit_depth, 10u);
  PlanFacts nine;
  nine.target = {TargetKind::kBpw, 9.5};
  EXPECT_EQ(resolved(coded("w"), {&raw}, nine)->bit_depth, 9u);
  TensorDraft asked = coded("w");
  asked.bit_depth = 9;
  expect_error(resolved(asked, {&deep}), ErrorKind::kInvalidArgument, "not 9");
}

// As a plan file may say; `raw` stores any depth, but no reader takes weights of it.
TEST(Resolve, a_depth_that_cannot_be_read_back_is_refused) {
  const CodecInfo raw = codec_info("raw", {1, 8, 16});
  TensorDraft asked = coded("w");
  asked.bit_depth = 1;
  expect_error(resolved(asked, {&raw}), ErrorKind::kInvalidArgument, "8 to 16 bits, not 1");
}

TEST(Resolve, scales_of_a_matrix_follow_what_is_known) {
  const CodecInfo vvc = codec_info("vvc");
  const auto blind = resolved(coded("blk.0.attn_q.weight"), {&vvc});
  ASSERT_OK(blind);
  EXPECT_EQ(blind->scales.kind, ScaleKind::kDual);
  EXPECT_EQ(blind->row_exponent, 0.5);
  EXPECT_EQ(blind->column_exponent, 0.8);
  EXPECT_EQ(blind->token_rank, 0);
  EXPECT_FALSE(blind->step_octaves.has_value()) << "left to what errors cost";
  EXPECT_EQ(resolved(coded("blk.0.attn_q.weight"), {&vvc, true, true})->row_exponent, 0.25);
}

TEST(Resolve, a_thin_matrix_has_scales_of_its_short_side_alone) {
  const CodecInfo vvc = codec_info("vvc");
  TensorFacts facts{&vvc};
  facts.shape = {1, 8, 512};
  EXPECT_EQ(resolved(coded("lora_A"), facts)->scales.kind, ScaleKind::kRow);
  facts.shape = {1, 512, 8};
  EXPECT_EQ(resolved(coded("lora_B"), facts)->scales.kind, ScaleKind::kColumn);
  facts.shape = {4, 512, 17};
  EXPECT_EQ(resolved(coded("w"), facts)->scales.kind, ScaleKind::kDual);
}

TEST(Resolve, thin_matrices_are_folded_along_their_long_side) {
  const CodecInfo vvc = codec_info("vvc"), x265 = codec_info("libx265");
  const auto lines = [](const CodecInfo& codec, MatrixShape shape) {
    TensorFacts facts{&codec};
    facts.shape = shape;
    return resolved(coded("lora_A"), facts)->lines;
  };
  EXPECT_EQ(lines(vvc, {1, 8, 512}), Lines::kRows);
  EXPECT_EQ(lines(vvc, {1, 512, 8}), Lines::kColumns);
  EXPECT_EQ(lines(vvc, {1, 8, 63}), Lines::kNone) << "no fuller blocks";
  EXPECT_EQ(lines(vvc, {1, 512, 17}), Lines::kNone);
  EXPECT_EQ(lines(vvc, {1, 16, 1 << 20}), Lines::kNone) << "too large for one piece of work";
  EXPECT_EQ(lines(x265, {1, 8, 512}), Lines::kNone);
}

TEST(Resolve, what_would_be_padding_alone_is_refused) {
  const CodecInfo vvc = codec_info("vvc"), raw = codec_info("raw");
  for (const MatrixShape& shape :
       {MatrixShape{1, 1, 5 << 20}, MatrixShape{1, 5 << 20, 1}, MatrixShape{2, 7, 1 << 20}}) {
    const auto refused = resolved(coded("w"), {.codec = &vvc, .shape = shape});
    expect_error(refused, ErrorKind::kInvalidArgument, "too thin for the spectral layout");
    EXPECT_TRUE(resolved(coded("w"), {.codec = &raw, .shape = shape}).is_ok());
  }
  for (const MatrixShape& shape :
       {MatrixShape{1, 1, 4 << 20}, MatrixShape{2, 1, 4 << 20}, MatrixShape{1, 8, 1 << 20}})
    EXPECT_TRUE(resolved(coded("w"), {.codec = &vvc, .shape = shape}).is_ok());
}

TEST(Resolve, a_factor_has_one_scale_for_each_component) {
  const CodecInfo vvc = codec_info("vvc");
  TensorFacts facts{&vvc};
  facts.factor = true;
  facts.shape = {1, 64, 512};
  facts.outputs_known = true;
  const auto down = resolved(coded("lora_A"), facts);
  ASSERT_OK(down);
  EXPECT_EQ(down->scales.kind, ScaleKind::kRow);
  EXPECT_EQ(down->row_exponent, 0) << "however large its weights are";
  EXPECT_EQ(down->lines, Lines::kRows);
  facts.shape = {1, 512, 64};
  facts.outputs_known = false;
  facts.inputs_known = true;
  const auto up = resolved(coded("lora_B"), facts);
  ASSERT_OK(up);
  EXPECT_EQ(up->scales.kind, ScaleKind::kColumn);
  EXPECT_EQ(up->column_exponent, 0);
  EXPECT_EQ(up->lines, Lines::kColumns);
}

TEST(Resolve, embeddings_have_row_scales_until_their_inputs_are_known) {
  const CodecInfo vvc = codec_info("vvc");
  const auto blind = resolved(coded("token_embd.weight"), {&vvc});
  ASSERT_OK(blind);
  EXPECT_EQ(blind->scales.kind, ScaleKind::kRow);
  EXPECT_EQ(blind->row_exponent, 1);
  EXPECT_EQ(blind->token_rank, 0.75);
  EXPECT_EQ(blind->step_octaves, 0.0);
  PlanFacts loop;
  EXPECT_EQ(resolved(coded("token_embd.weight"), {&vvc, true}, loop)->step_octaves, -0.8);
  loop.closed_loop = true;
  EXPECT_EQ(resolved(coded("token_embd.weight"), {&vvc, true}, loop)->step_octaves, -0.75);
  EXPECT_EQ(resolved(coded("token_embd.weight"), {&vvc, true}, loop)->scales.kind, ScaleKind::kDual);
}

TEST(Resolve, heads_wait_for_the_damage_where_outputs_are_measured) {
  const CodecInfo vvc = codec_info("vvc");
  PlanFacts measured;
  measured.closed_loop = measured.outputs_measured = true;
  EXPECT_EQ(resolved(coded("token_embd.weight"), {&vvc, true}, measured)->step_octaves, std::nullopt);
  EXPECT_EQ(resolved(coded("token_embd.weight"), {&vvc}, measured)->step_octaves, 0.0) << "inputs unknown";
  TensorDraft asked = coded("token_embd.weight");
  asked.step_octaves = -0.5;
  EXPECT_EQ(resolved(asked, {&vvc, true}, measured)->step_octaves, -0.5);
}

TEST(Resolve, what_is_known_of_a_head_s_rows_stands_beside_their_ranks) {
  const CodecInfo vvc = codec_info("vvc");
  TensorFacts facts{.codec = &vvc, .inputs_known = true};
  EXPECT_EQ(resolved(coded("output.weight"), facts)->row_exponent, 0.5);
  facts.outputs_known = true;
  EXPECT_EQ(resolved(coded("output.weight"), facts)->row_exponent, 0.25);
  EXPECT_EQ(resolved(coded("output.weight"), facts)->token_rank, 0.75);
}

TEST(Resolve, heads_of_large_vocabularies_are_coarser) {
  const CodecInfo vvc = codec_info("vvc");
  const auto octaves = [&](uint64_t tokens, bool closed_loop) {
    PlanFacts model;
    model.closed_loop = closed_loop;
    return *resolved(coded("output.weight"), {.codec = &vvc, .inputs_known = true, .shape = {1, tokens, 640}},
                     model)
                ->step_octaves;
  };
  EXPECT_EQ(octaves(32000, false), -0.8);
  EXPECT_EQ(octaves(49152, false), -0.8);
  EXPECT_NEAR(octaves(4 * 49152, false), -0.3, 1e-9);
  EXPECT_NEAR(octaves(4 * 49152, true), -0.25, 1e-9);
  EXPECT_EQ(octaves(64 * 49152, false), 0.0);
}

TEST(Resolve, what_was_asked_for_stays) {
  const CodecInfo vvc = codec_info("vvc");
  TensorDraft asked = coded("token_embd.weight");
  asked.scales = ScaleSpec{ScaleKind::kGroup, 64};
  asked.row_exponent = 0.1;
  asked.column_exponent = 0.2;
  asked.token_rank = 0.3;
  asked.step_octaves = 0.4;
  asked.asymmetric = true;
  const auto plan = resolved(asked, {&vvc, true, true});
  ASSERT_OK(plan);
  EXPECT_EQ(plan->scales.kind, ScaleKind::kGroup);
  EXPECT_EQ(plan->row_exponent, 0.1);
  EXPECT_EQ(plan->column_exponent, 0.2);
  EXPECT_EQ(plan->token_rank, 0.3);
  EXPECT_EQ(plan->step_octaves, 0.4);
  EXPECT_TRUE(plan->asymmetric);
}

TEST(Resolve, a_kept_tensor_needs_no_codec) {
  TensorDraft kept = coded("w");
  kept.code = false;
  kept.reason = "asked for";
  const auto plan = resolved(kept, {});
  ASSERT_OK(plan);
  EXPECT_FALSE(plan->code);
  EXPECT_EQ(plan->reason, "asked for");
}

Plan plan_of(size_t tensors) {
  Plan plan;
  plan.tensors.resize(tensors);
  for (TensorPlan& tensor : plan.tensors) tensor.code = true;
  return plan;
}

TEST(OctavesByDamage, costly_tensors_get_finer_steps_and_the_mean_stays) {
  const std::vector<TensorCost> costs = {{100, 16.0}, {300, 1.0}};
  const std::vector<double> octaves = octaves_by_damage(plan_of(2), costs);
  EXPECT_NEAR(octaves[1] - octaves[0], 1, 1e-9) << "a quarter of the logarithm of the damage";
  EXPECT_NEAR(octaves[0] * 100 + octaves[1] * 300, 0, 1e-9);
}

TEST(OctavesByDamage, heads_take_part_and_leave_the_mean_to_the_layers) {
  const std::vector<TensorCost> costs = {
      {100, 4.0}, {100, 1.0}, {.weights = 500, .damage = 16.0, .vocabulary = true}};
  const std::vector<double> octaves = octaves_by_damage(plan_of(3), costs);
  EXPECT_NEAR(octaves[0] + octaves[1], 0, 1e-9);
  EXPECT_NEAR(octaves[0] - octaves[2], 0.5, 1e-9) << "a quarter of the logarithm of the damage";
  EXPECT_EQ(octaves_by_damage(plan_of(1), {{costs[2]}})[0], 0) << "no layer to compare it with";
}

TEST(OctavesByDamage, factors_share_among_themselves_what_their_product_asks_for) {
  const std::vector<TensorCost> costs = {{100, 1.0, true}, {300, 16.0, true}, {50, 2.0}, {50, 2.0}};
  const std::vector<double> octaves = octaves_by_damage(plan_of(4), costs);
  EXPECT_NEAR(octaves[0] - octaves[1], 2, 1e-9) << "half of the logarithm of the damage";
  EXPECT_NEAR(octaves[0] * 100 + octaves[1] * 300, 0, 1e-9);
  EXPECT_EQ(octaves[2], 0) << "what is no factor is by itself";
}

TEST(OctavesByDamage, tensors_with_octaves_of_their_own_or_without_damage_stand_aside) {
  Plan plan = plan_of(4);
  plan.tensors[0].step_octaves = 0.7;
  plan.tensors[3].code = false;
  const std::vector<double> octaves = octaves_by_damage(plan, {{{1, 4.0}, {1, {}}, {1, 2.0}, {1, 8.0}}});
  EXPECT_EQ(octaves, (std::vector<double>{0.7, 0, 0, 0}));
}

}  // namespace
}  // namespace llmcodec
