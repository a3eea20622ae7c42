// SPDX-License-Identifier: BSD-3-Clause
#include "compress/rate_samples.h"

#include "plan/codec_settings.h"
#include "small_model.h"

namespace llmcodec {
namespace {

class RateSamplesTest : public testing::Test {
 protected:
  void prepare_model(const std::vector<TensorInfo>& tensors) {
    const auto options = small_options(folder_, tensors);
    ASSERT_OK(options);
    auto state = prepare_small(*options);
    ASSERT_OK(state);
    state_ = std::move(state).value();
    fixed_.emplace(state_->content());
    problem_ = {state_->model.source.get(), &state_->moments, &state_->codecs, &state_->tensors,
                &state_->octaves,           &*fixed_,         Target{},        &state_->options.control};
    feedback_.emplace(*problem_.moments, kMaxLoopBytes);
  }

  std::vector<TensorSettings> settings_at(double log2_step) {
    std::vector<TensorSettings> settings(state_->plan.tensors.size());
    for (const FittedTensor& tensor : state_->tensors) {
      const Codec* codec = *state_->codecs.get("vvc");
      settings[tensor.index].pictures =
          settings_for({log2_step, 0, {}}, *tensor.plan, tensor.shape, codec->info());
    }
    return settings;
  }

  Result<RateEstimate> evaluate(RateSamples& samples, double log2_step) {
    std::vector<TensorSettings> settings = settings_at(log2_step);
    return samples.evaluate(&settings, [](uint64_t) {});
  }

  TempFolder folder_;
  std::unique_ptr<CompressState> state_;
  std::optional<FixedBytes> fixed_;
  RateProblem problem_;
  std::optional<FeedbackCache> feedback_;
};

TEST_F(RateSamplesTest, a_small_model_is_coded_whole) {
  prepare_model(small_tensors());
  RateSamples samples(problem_, SampleDensity::kFine, *feedback_);
  EXPECT_TRUE(samples.is_whole());
  EXPECT_EQ(samples.weights(), total_weights(state_->tensors));
  const auto estimate = evaluate(samples, -1);
  ASSERT_OK(estimate);
  std::vector<TensorSettings> settings = settings_at(-1);
  const auto fixed = fixed_->get(settings);
  ASSERT_OK(fixed);
  EXPECT_EQ(estimate->bytes,
            static_cast<double>(*fixed + estimate->tensor_bytes[0] + estimate->tensor_bytes[1]));
}

TEST_F(RateSamplesTest, an_octave_is_a_bit_and_six_decibels) {
  prepare_model(small_tensors());
  RateSamples samples(problem_, SampleDensity::kFine, *feedback_);
  const auto fine = evaluate(samples, -2), coarse = evaluate(samples, -1);
  ASSERT_OK(fine);
  ASSERT_OK(coarse);
  const double bits = 8 * (fine->bytes - coarse->bytes) / static_cast<double>(samples.weights());
  EXPECT_NEAR(bits, 1, 0.1);
  EXPECT_NEAR(fine->energies.snr_db() - coarse->energies.snr_db(), 6.02, 0.5);
}

TEST_F(RateSamplesTest, parts_of_a_large_model_stand_for_all_of_it) {
  prepare_model({{"blk.0.w", Dtype::kF32, {3000, 1200}},
                 {"blk.1.w", Dtype::kF32, {3000, 1200}},
                 {"blk.2.w", Dtype::kF32, {2000, 1200}}});
  RateSamples fine(problem_, SampleDensity::kFine, *feedback_),
      coarse(problem_, SampleDensity::kCoarse, *feedback_);
  EXPECT_FALSE(fine.is_whole());
  EXPECT_LT(fine.weights(), total_weights(state_->tensors));
  EXPECT_LT(coarse.weights(), fine.weights());
  const auto few = evaluate(coarse, -1), many = evaluate(fine, -1);
  ASSERT_OK(few);
  ASSERT_OK(many);
  EXPECT_NEAR(few->bytes / many->bytes, 1, 0.02);
  EXPECT_NEAR(static_cast<double>(many->tensor_bytes[2]) / static_cast<double>(many->tensor_bytes[0]),
              2.0 / 3, 0.01)
      << "tensors that differ by the layer's number cost alike";
}

// Rows of one tensor that differ in steps, as an embedding's do by token rank: strips at a few places stand for all. Half of
// what is allowed is that of short streams, whose contexts have little to learn from.
TEST_F(RateSamplesTest, rows_of_different_steps_count_as_what_they_are) {
  prepare_model({{"token_embd.weight", Dtype::kF32, {12000, 256}}});
  problem_.whole_weights = 1 << 16;
  RateSamples few(problem_, SampleDensity::kFine, *feedback_);
  ASSERT_FALSE(few.is_whole());
  const auto estimate = evaluate(few, -1);
  problem_.whole_weights = 1 << 23;
  RateSamples all(problem_, SampleDensity::kFine, *feedback_);
  const auto truth = evaluate(all, -1);
  ASSERT_OK(estimate);
  ASSERT_OK(truth);
  EXPECT_LT(few.weights() * 3, all.weights());
  EXPECT_NEAR(estimate->bytes / truth->bytes, 1, 0.02);
  EXPECT_NEAR(estimate->energies.snr_db(), truth->energies.snr_db(), 0.15);
}

// Factors of adapters are strips of their own, of different sizes and loudness.
TEST_F(RateSamplesTest, factors_of_different_sizes_count_by_their_weights) {
  std::vector<TensorInfo> tensors;
  for (int i = 0; i < 24; ++i) {
    tensors.push_back({fmt::format("layers.{}.up.lora_A.weight", i), Dtype::kF32, {16, 512}});
    tensors.push_back({fmt::format("layers.{}.up.lora_B.weight", i), Dtype::kF32, {3072, 16}});
  }
  prepare_model(tensors);
  problem_.target = {TargetKind::kSnr, 18};
  problem_.whole_weights = 1 << 16;
  const auto found = find_steps(problem_);
  ASSERT_OK(found);
  problem_.whole_weights = 1 << 23;
  RateSamples all(problem_, SampleDensity::kFine, *feedback_);
  ASSERT_TRUE(all.is_whole());
  std::vector<TensorSettings> settings = found->settings;
  const auto truth = all.evaluate(&settings, [](uint64_t) {});
  ASSERT_OK(truth);
  EXPECT_NEAR(truth->energies.snr_db(), 18, 0.1);
  EXPECT_NEAR(static_cast<double>(found->predicted_bytes) / truth->bytes, 1, 0.01);
}

}  // namespace
}  // namespace llmcodec
