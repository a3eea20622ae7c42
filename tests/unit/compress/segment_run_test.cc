// SPDX-License-Identifier: BSD-3-Clause
#include "compress/segment_run.h"

#include "small_model.h"

namespace llmcodec {
namespace {

class SegmentRunTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto options = small_options(folder_);
    ASSERT_OK(options);
    auto state = prepare_small(*options);
    ASSERT_OK(state);
    state_ = std::move(state).value();
    auto codec = open_codec("vvc", {});
    ASSERT_OK(codec);
    codec_ = std::move(codec).value();
  }

  std::vector<SegmentTask> tasks() {
    std::vector<SegmentTask> all;
    for (const FittedTensor& tensor : state_->tensors) {
      const PictureSettings settings{Layout::kSpectral, 10, 0.5, 16, 8};
      const auto recipe = std::make_shared<const TensorRecipe>(
          std::move(tensor.recipe(tensor.shape.rows, settings, *codec_)).value());
      for (uint64_t m = 0; m < tensor.shape.matrices; ++m)
        std::ranges::move(segments_of(tensor, codec_.get(), recipe, m, 0), std::back_inserter(all));
    }
    return all;
  }

  // The streams of all tasks, coded with this many threads in groups of this many weights.
  std::vector<std::vector<std::byte>> streams(unsigned threads, uint64_t group_weights) {
    Control control;
    control.threads = threads;
    FeedbackCache feedback(state_->moments, 0);
    std::vector<SegmentTask> all = tasks();
    size_t next = 0;
    std::vector<std::vector<std::byte>> streams;
    SegmentRun run{*state_->model.source, &feedback, control};
    run.group_weights = group_weights;
    run.next = [&]() -> Result<std::optional<SegmentTask>> {
      return next < all.size() ? std::optional(all[next++]) : std::nullopt;
    };
    run.take = [&](SegmentTask& task) {
      streams.push_back(task.coded.stream);
      EXPECT_LE(task.coded.metrics.count(), task.weights());
      return Status::ok();
    };
    EXPECT_TRUE(run.run(1 << 20).is_ok());
    return streams;
  }

  TempFolder folder_;
  std::unique_ptr<CompressState> state_;
  std::unique_ptr<Codec> codec_;
};

TEST_F(SegmentRunTest, streams_do_not_depend_on_threads_and_groups) {
  const auto alone = streams(1, 1);
  EXPECT_EQ(alone.size(), 3u) << "one matrix, and two of the other tensor";
  EXPECT_EQ(streams(1, 1 << 22), alone);
  EXPECT_EQ(streams(4, 1 << 22), alone);
  EXPECT_EQ(streams(4, 1), alone);
}

TEST_F(SegmentRunTest, cancelling_interrupts) {
  Control control;
  control.cancelled = [] { return true; };
  FeedbackCache feedback(state_->moments, 0);
  SegmentRun run{*state_->model.source, &feedback, control};
  run.next = [] { return Result<std::optional<SegmentTask>>(std::nullopt); };
  run.take = [](SegmentTask&) { return Status::ok(); };
  expect_error(run.run(1), ErrorKind::kInterrupted, "");
}

}  // namespace
}  // namespace llmcodec
