// SPDX-License-Identifier: BSD-3-Clause
#include "compress/archive_plan.h"

#include "small_model.h"

namespace llmcodec {
namespace {

class ArchivePlanTest : public testing::Test {
 protected:
  // Prepares a model of these tensors and searches steps for it.
  void prepare_model(const std::vector<TensorInfo>& tensors, uint64_t shard_bytes = 0) {
    auto options = small_options(folder_, tensors);
    ASSERT_OK(options);
    options->shard_bytes = shard_bytes;
    if (shard_bytes > 0) options->output = folder_.file("shards");
    auto state = prepare_small(*options);
    ASSERT_OK(state);
    state_ = std::move(state).value();
    auto found = find_settings(*state_);
    ASSERT_OK(found);
    settings_ = std::move(found->settings);
  }

  TempFolder folder_;
  std::unique_ptr<CompressState> state_;
  std::vector<TensorSettings> settings_;
};

TEST_F(ArchivePlanTest, one_file_reserves_its_header) {
  prepare_model(small_tensors());
  const auto plan = plan_archive(state_->content(), settings_);
  ASSERT_OK(plan);
  ASSERT_EQ(plan->layout.shards.size(), 1u);
  EXPECT_EQ(plan->layout.shards[0].header_bytes % 8, 0u);
  EXPECT_GT(plan->overhead_bytes, plan->layout.shards[0].header_bytes) << "the description counts as well";
  EXPECT_TRUE(plan->layout.index_path.empty());
  EXPECT_EQ(plan->exact_order, std::vector<size_t>{2});
}

TEST_F(ArchivePlanTest, shards_are_filled_in_the_order_of_the_source) {
  prepare_model(small_tensors(), 2500);
  const auto plan = plan_archive(state_->content(), settings_);
  ASSERT_OK(plan);
  EXPECT_GT(plan->layout.shards.size(), 1u);
  EXPECT_TRUE(std::ranges::is_sorted(plan->shard_of));
  EXPECT_EQ(plan->shard_of.back() + 1, plan->layout.shards.size());
  EXPECT_TRUE(plan->layout.index_path.ends_with("model.safetensors.index.json"));
}

TEST_F(ArchivePlanTest, exact_tensors_stand_by_falling_alignment) {
  prepare_model({{"bytes", Dtype::kU8, {3}},
                 {"wide", Dtype::kF64, {2}},
                 {"norm", Dtype::kF32, {3}},
                 {"half", Dtype::kF16, {5}}});
  const auto plan = plan_archive(state_->content(), settings_);
  ASSERT_OK(plan);
  std::vector<std::string> names;
  for (const size_t i : plan->exact_order) names.push_back(state_->model.source->tensors()[i].name);
  EXPECT_EQ(names, (std::vector<std::string>{"wide", "norm", "half", "bytes"}));
}

TEST_F(ArchivePlanTest, names_that_collide_are_refused) {
  auto options = small_options(folder_, {{"a", Dtype::kF32, {96, 64}}, {"a.bitstream", Dtype::kU8, {8}}});
  ASSERT_OK(options);
  const auto state = prepare_small(*options);
  ASSERT_OK(state);
  expect_error(find_settings(**state), ErrorKind::kInvalidArgument, "a.bitstream");
}

TEST_F(ArchivePlanTest, fixed_bytes_are_all_but_streams) {
  prepare_model(small_tensors());
  FixedBytes fixed(state_->content());
  const auto bytes = fixed.get(settings_);
  ASSERT_OK(bytes);
  const auto plan = plan_archive(state_->content(), settings_);
  ASSERT_OK(plan);
  uint64_t expected = plan->overhead_bytes + 64 * 4;  // the norm
  for (const FittedTensor& tensor : state_->tensors) {
    for (const Part& part : tensor.scale_parts) expected += (part.bytes.size() + 7) / 8 * 8;
  }
  EXPECT_EQ(*bytes, expected);
}

}  // namespace
}  // namespace llmcodec
