// SPDX-License-Identifier: BSD-3-Clause
#include "compress/fitted_tensor.h"

#include "small_model.h"

namespace llmcodec {
namespace {

class FittedTensorTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK(write_small_model(folder_.file("model.safetensors"), small_tensors()));
    auto model = open_model(folder_.file("model.safetensors"));
    ASSERT_OK(model);
    model_ = std::move(model).value();
    plan_.name = "b.weight";
    plan_.code = true;
    plan_.scales = {ScaleKind::kDual, 0};
  }
  Result<FittedTensor> fit() { return fit_tensor(*model_.source, 1, plan_, moments_); }
  // The same moment for all inputs but the first ones, which are strong.
  void know_inputs() {
    moments_.importance.emplace();
    std::vector<float> inputs(80, 1.0f);
    inputs[5] = 100;
    for (int m = 0; m < 2; ++m) moments_.importance->append("b.weight", inputs);
  }

  TempFolder folder_;
  Model model_;
  TensorPlan plan_;
  InputMoments moments_;
};

TEST_F(FittedTensorTest, has_scales_and_parts_for_every_matrix) {
  const auto tensor = fit();
  ASSERT_OK(tensor);
  EXPECT_EQ(tensor->shape, (MatrixShape{2, 64, 80}));
  ASSERT_EQ(tensor->scales.size(), 2u);
  EXPECT_EQ(tensor->side_bytes(), 2u * (64 + 80));
  ASSERT_EQ(tensor->scale_parts.size(), 2u);
  EXPECT_EQ(tensor->scale_parts[0].name, "row_scale");
  EXPECT_TRUE(tensor->order[0].empty()) << "unknown inputs stay in their order";
  EXPECT_FALSE(tensor->damage.has_value());
}

TEST_F(FittedTensorTest, known_inputs_are_ordered_by_their_steps) {
  know_inputs();
  const auto tensor = fit();
  ASSERT_OK(tensor);
  EXPECT_EQ(tensor->column_order, ColumnOrder::kColScale);
  ASSERT_EQ(tensor->order[0].size(), 80u);
  EXPECT_EQ(tensor->order[0][0], 5u) << "the strongest input has the finest step";
}

// 2 x 64 x 80 weights: a factor has one matrix, so `a` of 96 x 64, taken for A with rows that matter as 1 and 16.
TEST_F(FittedTensorTest, steps_of_a_factor_go_with_the_root_of_what_its_lines_meet) {
  plan_.name = "a.weight";
  plan_.scales = {ScaleKind::kRow, 0};
  plan_.row_exponent = 0;
  moments_.importance.emplace();
  std::vector<float> outputs(96, 1.0f);
  for (size_t i = 48; i < 96; ++i) outputs[i] = 16;
  moments_.importance->append_outputs("a.weight", outputs);
  moments_.factors.insert("a.weight");
  const auto tensor = fit_tensor(*model_.source, 0, plan_, moments_);
  ASSERT_OK(tensor);
  const MatrixScales& scales = tensor->scales[0];
  const double first = scales.row_code.decode(scales.row_codes[0]),
               last = scales.row_code.decode(scales.row_codes[95]);
  EXPECT_NEAR(first / last, 4, 0.4) << "the damping of 1 % and codes of 8 per octave";
  EXPECT_TRUE(tensor->damage.has_value()) << "the product's other side counts alike";
  EXPECT_TRUE(tensor->order[0].empty());
}

TEST_F(FittedTensorTest, damage_needs_inputs_and_outputs) {
  know_inputs();
  EXPECT_FALSE(fit()->damage.has_value());
  const std::vector<float> outputs(64, 2.0f);
  for (int m = 0; m < 2; ++m) moments_.importance->append_outputs("b.weight", outputs);
  const auto tensor = fit();
  ASSERT_OK(tensor);
  EXPECT_GT(tensor->damage.value_or(0), 0);
}

TEST_F(FittedTensorTest, a_strip_of_rows_has_a_recipe_of_its_own) {
  const auto tensor = fit();
  ASSERT_OK(tensor);
  const auto codec = open_codec("vvc", {});
  ASSERT_OK(codec);
  const PictureSettings settings{Layout::kSpectral, 10, 0.5, 16, 8};
  const auto recipe = tensor->recipe(32, settings, **codec);
  ASSERT_OK(recipe);
  EXPECT_EQ(recipe->spectral().layout.rows, 32u);
  EXPECT_EQ(recipe->spectral().layout.cols, 80u);
  EXPECT_EQ(recipe->scales.row_code.size(), 2u);
}

TEST(FittedTensor, a_weight_that_is_no_number_is_named) {
  TempFolder folder;
  const std::vector<TensorInfo> infos = {{"a", Dtype::kF32, {8, 8}}};
  const auto sink = create_safetensors(folder.file("m.safetensors"), infos, {});
  ASSERT_OK(sink);
  std::vector<float> values(64, 1.0f);
  values[11] = std::nanf("");
  ASSERT_OK((*sink)->write(0, std::as_bytes(std::span(values))));
  ASSERT_OK((*sink)->finish());
  const auto model = open_model(folder.file("m.safetensors"));
  ASSERT_OK(model);
  TensorPlan plan;
  plan.scales = {ScaleKind::kRow, 0};
  const auto tensor = fit_tensor(*model->source, 0, plan, {});
  expect_error(tensor, ErrorKind::kInvalidArgument, "'a'");
  expect_error(tensor, ErrorKind::kInvalidArgument, "11");
}

}  // namespace
}  // namespace llmcodec
