// SPDX-License-Identifier: BSD-3-Clause
#include "plan/plan_file.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "../tensor/tensor_test_files.h"

namespace llmcodec {
namespace {

using nlohmann::json;

const std::vector<TensorInfo> kTensors = {
    {"a", Dtype::kF16, {128, 64}}, {"b", Dtype::kF16, {128, 64}}, {"n", Dtype::kF32, {64}}};

std::string some_plan() {
  Plan plan;
  plan.tensors.resize(3);
  for (size_t i = 0; i < 3; ++i) plan.tensors[i].name = kTensors[i].name;
  plan.tensors[0].code = plan.tensors[1].code = true;
  plan.tensors[0].row_exponent = 0.5;
  plan.tensors[1].layout = Layout::kSpatial;
  plan.tensors[1].bit_depth = 8;
  plan.tensors[1].codec = "libx265:preset=medium";
  plan.tensors[2].reason = "no matrix";
  std::vector<TensorSettings> settings(3);
  settings[0] = {0.25, {Layout::kSpectral, 10, 0.31, 20, 12}, 1000, 15.5};
  settings[1] = {0, {Layout::kSpatial, 8, 0.04, 27, 0}, 2000, 12};
  return plan_to_text(plan, settings);
}

TEST(PlanFile, comes_back_with_nothing_left_open) {
  const auto file = plan_from_text(some_plan(), kTensors);
  ASSERT_OK(file);
  const TensorDraft& a = file->drafts[0];
  const TensorDraft& b = file->drafts[1];
  EXPECT_EQ(a.layout, Layout::kSpectral);
  EXPECT_EQ(a.row_exponent, 0.5);
  EXPECT_EQ(a.column_exponent, 1.0);
  EXPECT_EQ(a.step_octaves, 0.25);
  EXPECT_TRUE(a.scales.has_value());
  EXPECT_EQ(file->settings[0].octaves, 0.25);
  EXPECT_EQ(file->settings[0].pictures.step, 0.31);
  EXPECT_EQ(file->settings[0].pictures.outputs_per_block, 12u);
  EXPECT_EQ(file->settings[0].predicted_bytes, 1000u);
  EXPECT_EQ(b.bit_depth, 8u);
  EXPECT_EQ(b.codec, "libx265:preset=medium");
  EXPECT_EQ(file->settings[1].pictures.quality, 27);
  EXPECT_FALSE(file->drafts[2].code);
  EXPECT_EQ(file->drafts[2].reason, "no matrix");
}

TEST(PlanFile, a_tensor_of_zeros_has_an_infinite_prediction_and_comes_back) {
  Plan plan;
  plan.tensors.resize(1);
  plan.tensors[0].name = "a";
  plan.tensors[0].code = true;
  std::vector<TensorSettings> settings(1);
  settings[0] = {0, {Layout::kSpectral, 10, 0.31, 20, 12}, 100, std::numeric_limits<double>::infinity()};
  ASSERT_OK(plan_from_text(plan_to_text(plan, settings), {kTensors[0]}));
}

TEST(PlanFile, values_out_of_range_name_the_tensor_and_the_key) {
  const std::pair<const char*, json> changes[] = {{"step", 0},
                                                  {"step", 1e308},
                                                  {"step", 1e39},
                                                  {"step", 1e-300},
                                                  {"quality", 1e308},
                                                  {"step", "fine"},
                                                  {"row_exponent", 1.5},
                                                  {"token_rank", -0.1},
                                                  {"layout", "diagonal"},
                                                  {"outputs_per_block", 32},
                                                  {"outputs_per_block", 0},
                                                  {"outputs_per_block", 7.5},
                                                  {"asymmetric", 1},
                                                  {"stepp", 1},
                                                  {"quality", nullptr},
                                                  {"predicted_bytes", -1}};
  for (const auto& [key, value] : changes) {
    json plan = json::parse(some_plan());
    plan["tensors"][0][key] = value;
    const auto file = plan_from_text(plan.dump(), kTensors);
    expect_error(file, ErrorKind::kInvalidArgument, key);
    expect_error(file, ErrorKind::kInvalidArgument, "'a'");
  }
}

TEST(PlanFile, what_is_absent_or_there_twice_is_refused) {
  json plan = json::parse(some_plan());
  plan["tensors"][0].erase("quality");
  expect_error(plan_from_text(plan.dump(), kTensors), ErrorKind::kInvalidArgument, "quality");
  std::string text = some_plan();
  text.insert(text.find("\"step\""), "\"step\":1,");
  expect_error(plan_from_text(text, kTensors), ErrorKind::kCorrupt, "'step' given twice");
}

TEST(PlanFile, other_texts_versions_and_models_are_refused) {
  expect_error(plan_from_text("not json", kTensors), ErrorKind::kCorrupt, "not valid JSON");
  expect_error(plan_from_text("{}", kTensors), ErrorKind::kCorrupt, "is not a plan");
  expect_error(plan_from_text(std::string(200'000, '[') + std::string(200'000, ']'), kTensors),
               ErrorKind::kLimit, "levels");
  json plan = json::parse(some_plan());
  plan["llmcodec_plan"] = 2;
  expect_error(plan_from_text(plan.dump(), kTensors), ErrorKind::kUnsupported, "version 2");
  plan = json::parse(some_plan());
  plan["tensors"][1]["name"] = "c";
  expect_error(plan_from_text(plan.dump(), kTensors), ErrorKind::kInvalidArgument, "'c'");
  plan["tensors"].erase(1);
  expect_error(plan_from_text(plan.dump(), kTensors), ErrorKind::kInvalidArgument, "2 tensors");
  plan = json::parse(some_plan());
  plan["tensors"][2] = plan["tensors"][0];
  plan["tensors"][2]["name"] = "n";
  expect_error(plan_from_text(plan.dump(), kTensors), ErrorKind::kInvalidArgument, "no matrix");
}

}  // namespace
}  // namespace llmcodec
