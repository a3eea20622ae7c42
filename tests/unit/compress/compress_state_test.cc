// SPDX-License-Identifier: BSD-3-Clause
#include "compress/compress_state.h"

#include "plan/plan_file.h"
#include "small_model.h"

namespace llmcodec {
namespace {

TEST(CompressState, fits_what_is_coded_and_describes_the_source) {
  TempFolder folder;
  const auto options = small_options(folder);
  ASSERT_OK(options);
  const auto state = prepare_small(*options);
  ASSERT_OK(state);
  ASSERT_EQ((*state)->tensors.size(), 2u);
  EXPECT_EQ((*state)->tensors[1].shape, (MatrixShape{2, 64, 80}));
  EXPECT_EQ((*state)->tensors[1].scales.size(), 2u);
  EXPECT_FALSE((*state)->plan.tensors[2].code);
  EXPECT_EQ((*state)->octaves, (std::vector<double>{0, 0, 0})) << "no moments, no damage";
  ASSERT_EQ((*state)->description.source_files.size(), 1u);
  EXPECT_EQ((*state)->description.source_files[0].name, "model.safetensors");
  EXPECT_EQ((*state)->description.command, "test");
}

TEST(CompressState, the_plan_file_of_a_search_gives_its_settings_back) {
  TempFolder folder;
  auto options = small_options(folder);
  ASSERT_OK(options);
  const auto state = prepare_small(*options);
  ASSERT_OK(state);
  const auto found = find_settings(**state);
  ASSERT_OK(found);
  options->plan = folder.file("plan.json");
  write_bytes(options->plan, plan_to_text((*state)->plan, found->settings));
  const auto again = prepare_small(*options);
  ASSERT_OK(again);
  const auto given = find_settings(**again);
  ASSERT_OK(given);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(given->settings[i].pictures.step, found->settings[i].pictures.step);
    EXPECT_EQ(given->settings[i].pictures.outputs_per_block, found->settings[i].pictures.outputs_per_block);
    EXPECT_EQ(given->settings[i].pictures.layout, Layout::kSpectral);
  }
  EXPECT_EQ(resume_key(**again, given->settings), resume_key(**state, found->settings));
}

TEST(CompressState, the_resume_key_hangs_on_steps_and_options) {
  TempFolder folder;
  const auto options = small_options(folder);
  ASSERT_OK(options);
  const auto state = prepare_small(*options);
  ASSERT_OK(state);
  std::vector<TensorSettings> settings(3);
  const std::string key = resume_key(**state, settings);
  EXPECT_EQ(key, resume_key(**state, settings));
  settings[0].pictures.step = 0.5;
  EXPECT_NE(key, resume_key(**state, settings));
}

TEST(CompressState, a_plan_and_rules_at_once_are_refused) {
  TempFolder folder;
  auto options = small_options(folder);
  ASSERT_OK(options);
  options->plan = folder.file("plan.json");
  options->keep = {"a"};
  expect_error(prepare_small(*options), ErrorKind::kInvalidArgument, "edit the given plan");
}

TEST(CompressState, names_of_the_archives_own_tensors_are_refused) {
  TempFolder folder;
  const auto options =
      small_options(folder, {{"a", Dtype::kF32, {96, 64}}, {"llmcodec.description.0", Dtype::kU8, {8}}});
  ASSERT_OK(options);
  expect_error(prepare_small(*options), ErrorKind::kInvalidArgument, "llmcodec.description.0");
}

TEST(CompressState, an_archive_is_not_compressed_again) {
  TempFolder folder;
  auto options = small_options(folder);
  ASSERT_OK(options);
  ASSERT_OK(compress(*options));
  options->input = options->output;
  expect_error(prepare_small(*options), ErrorKind::kInvalidArgument, "decompress it first");
}

TEST(CompressState, a_cancelled_call_is_interrupted) {
  TempFolder folder;
  auto options = small_options(folder);
  ASSERT_OK(options);
  options->control.cancelled = [] { return true; };
  expect_error(prepare_small(*options), ErrorKind::kInterrupted, "interrupted");
}

TEST(PhaseProgress, counts_anew_in_every_phase) {
  std::vector<std::pair<std::string, uint64_t>> heard;
  Control control;
  control.progress = [&](const Progress& progress) { heard.push_back({progress.phase, progress.done}); };
  PhaseProgress progress(control, 100);
  progress.add("fit", 10, "a");
  progress.add("fit", 20, "b");
  progress.add("encode", 5, "a");
  const std::vector<std::pair<std::string, uint64_t>> expected = {{"fit", 10}, {"fit", 30}, {"encode", 5}};
  EXPECT_EQ(heard, expected);
}

TEST(CompressState, a_size_that_exact_tensors_pass_is_refused) {
  const TempFolder folder;
  auto options = small_options(folder, {{"norm", Dtype::kF32, {64}}});
  ASSERT_OK(options);
  options->target = {TargetKind::kBpw, 3};
  const auto state = prepare_small(*options);
  ASSERT_OK(state);
  expect_error(find_settings(**state), ErrorKind::kInvalidArgument,
               "every tensor of this model is stored exactly");
  options->target = {TargetKind::kSize, 1e6};
  const auto roomy = prepare_small(*options);
  ASSERT_OK(roomy);
  EXPECT_TRUE(find_settings(**roomy).is_ok());
}

}  // namespace
}  // namespace llmcodec
