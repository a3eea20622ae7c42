// SPDX-License-Identifier: BSD-3-Clause
// evaluate() against a stand-in for llama-perplexity: a shell script that prints what the real one prints.
// The real one is used by tests/cli/eval_test.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "llmcodec/eval.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Logs its arguments; writes the base file; prints results of the mode asked for.
constexpr const char* kProgram = R"sh(#!/bin/bash
here=$(dirname "$0")
[[ $1 == --version ]] && { echo "version: 9 (build 1, commit test)" >&2; exit 0; }
echo "$@" >> "$here/log"
base=; text=; mode=perplexity
while [[ $# -gt 0 ]]; do
  case $1 in
    --kl-divergence-base) base=$2; shift ;;
    --kl-divergence) mode=divergence ;;
    --multiple-choice) mode=tasks ;;
    --winogrande) mode=tasks ;;
    -f) text=$2; shift ;;
  esac
  shift
done
[[ -n $text ]] && cp "$text" "$here/text"
if [[ $mode == perplexity ]]; then
  [[ -n $base ]] && echo logits > "$base"
  echo "0.1 I perplexity: calculating perplexity over 3 chunks, n_ctx=512" >&2
  echo "0.2 I Final estimate: PPL = 20.5 +/- 0.5" >&2
elif [[ $mode == tasks ]]; then
  printf '1\t100.0\n2\t50.0\n'
else
  [[ $(cat "$base") == logits ]] || { echo "bad base" >&2; exit 1; }
  printf 'Mean PPL(Q)                   :  22.5 ± 0.7\nMean PPL(base)                :  20.5 ± 0.5\n'
  printf 'Mean ln(PPL(Q)/PPL(base))     :  0.1 ± 0.01\nMean    KLD:   0.25 ± 0.025\nMaximum KLD:   7.5\n'
  printf '99.9%%   KLD:   3.25\nSame top p: 78.5 ± 0.5 %%\ncomputing over 3 chunks\n'
fi
)sh";

class EvaluateTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) / ("llmcodec_eval_" + std::to_string(getpid()));
    fs::create_directories(folder_);
    install(kProgram);
    for (const char* name : {"model.gguf", "restored.gguf"})
      ASSERT_TRUE(write_text_file(path(name), name).is_ok());
    ASSERT_TRUE(write_text_file(path("text.txt"), "caf\xc3\xa9 text").is_ok());
    options_.candidate = path("restored.gguf");
    options_.original = path("model.gguf");
    options_.text_file = path("text.txt");
    options_.tools_dir = folder_.string();
  }
  void TearDown() override { fs::remove_all(folder_); }

  void install(const std::string& script) {
    ASSERT_TRUE(write_text_file(path("llama-perplexity"), script).is_ok());
    fs::permissions(path("llama-perplexity"), fs::perms::owner_all);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  size_t runs() const {
    std::string log = *read_text_file(path("log"), 1 << 20);
    return static_cast<size_t>(std::count(log.begin(), log.end(), '\n'));
  }

  fs::path folder_;
  EvalOptions options_;
};

TEST_F(EvaluateTest, reports_all_scores_under_stable_keys) {
  auto report = evaluate(options_);
  ASSERT_TRUE(report.is_ok()) << report.error().to_string();
  auto json = nlohmann::json::parse(report->to_json());
  EXPECT_EQ(json["perplexity"], 22.5);
  EXPECT_EQ(json["original_perplexity"], 20.5);
  EXPECT_EQ(json["kl"], 0.25);
  EXPECT_EQ(json["kl_error"], 0.025);
  EXPECT_EQ(json["kl_999"], 3.25);
  EXPECT_EQ(json["top1_percent"], 78.5);
  EXPECT_EQ(json["chunks"], 3);
  EXPECT_EQ(json["tool_version"], "9 (build 1, commit test)");
  EXPECT_EQ(runs(), 2u);
}

TEST_F(EvaluateTest, without_original_only_perplexity) {
  options_.original.clear();
  auto report = evaluate(options_);
  ASSERT_TRUE(report.is_ok()) << report.error().to_string();
  EXPECT_DOUBLE_EQ(report->perplexity->value, 20.5);
  EXPECT_FALSE(nlohmann::json::parse(report->to_json()).contains("kl"));
}

TEST_F(EvaluateTest, cached_base_is_used_again_and_only_for_the_same_text) {
  options_.cache_dir = path("cache");
  ASSERT_TRUE(evaluate(options_).is_ok());
  ASSERT_TRUE(evaluate(options_).is_ok());
  EXPECT_EQ(runs(), 3u);
  options_.max_text_bytes = 6;
  ASSERT_TRUE(evaluate(options_).is_ok());
  EXPECT_EQ(runs(), 5u);
}

TEST_F(EvaluateTest, text_is_cut_at_a_whole_character) {
  options_.original.clear();
  options_.max_text_bytes = 4;  // in the middle of the two bytes of the accented letter
  auto report = evaluate(options_);
  ASSERT_TRUE(report.is_ok());
  EXPECT_EQ(*read_text_file(path("text"), 100), "caf");
  EXPECT_EQ(report->text_bytes, 3u);
}

TEST_F(EvaluateTest, tasks_of_both_models) {
  ASSERT_TRUE(write_text_file(path("t.jsonl"),
                              "{\"query\":\"q\",\"choices\":[\"a\",\"b\"],\"gold\":0}\n"
                              "{\"query\":\"r\",\"choices\":[\"a\",\"b\"],\"gold\":1}\n")
                  .is_ok());
  options_.text_file.clear();
  options_.tasks = {eval_task_from_file(path("t.jsonl"))};
  options_.tasks_on_original = true;
  auto report = evaluate(options_);
  ASSERT_TRUE(report.is_ok()) << report.error().to_string();
  ASSERT_EQ(report->tasks.size(), 1u);
  ASSERT_EQ(report->original_tasks.size(), 1u);
  EXPECT_DOUBLE_EQ(report->tasks[0].accuracy_percent.value, 50);
  EXPECT_EQ(report->tasks[0].file, path("t.jsonl"));
  EXPECT_EQ(nlohmann::json::parse(report->to_json())["tasks"][0]["kind"], "multiple_choice");
}

TEST_F(EvaluateTest, failing_program_is_an_error_with_its_last_line) {
  install("#!/bin/bash\necho '0.00.123.456 E llama_model_load: bad magic' >&2\nexit 3\n");
  auto report = evaluate(options_);
  ASSERT_FALSE(report.is_ok());
  EXPECT_EQ(report.error().kind, ErrorKind::kUnsupported);
  EXPECT_THAT(report.error().message, HasSubstr("exit code 3"));
  EXPECT_THAT(report.error().message, HasSubstr("bad magic"));
  EXPECT_EQ(report.error().file, options_.original);
}

TEST_F(EvaluateTest, output_that_is_not_understood_is_an_error) {
  install("#!/bin/bash\necho 'all is well'\n");
  options_.original.clear();
  auto report = evaluate(options_);
  ASSERT_FALSE(report.is_ok());
  EXPECT_EQ(report.error().kind, ErrorKind::kUnsupported);
  EXPECT_THAT(report.error().message, HasSubstr("Final estimate: PPL"));
}

TEST_F(EvaluateTest, missing_tool_and_missing_model_are_named) {
  EvalOptions without = options_;
  without.tools_dir = path("nowhere");
  auto report = evaluate(without);
  ASSERT_FALSE(report.is_ok());
  EXPECT_EQ(report.error().kind, ErrorKind::kUnsupported);
  EXPECT_EQ(report.error().file, path("nowhere"));
  options_.candidate = path("absent.gguf");
  report = evaluate(options_);
  ASSERT_FALSE(report.is_ok());
  EXPECT_EQ(report.error().kind, ErrorKind::kIo);
  EXPECT_EQ(report.error().file, path("absent.gguf"));
}

TEST_F(EvaluateTest, nothing_to_score_is_refused) {
  options_.text_file.clear();
  auto report = evaluate(options_);
  ASSERT_FALSE(report.is_ok());
  EXPECT_EQ(report.error().kind, ErrorKind::kInvalidArgument);
}

TEST(EvalTask, kind_from_the_file_name) {
  EXPECT_EQ(eval_task_from_file("/a/winogrande.jsonl").kind, TaskKind::kWinogrande);
  EXPECT_EQ(eval_task_from_file("hellaswag_val.txt").kind, TaskKind::kHellaswag);
  EXPECT_EQ(eval_task_from_file("/winogrande/piqa.jsonl").kind, TaskKind::kMultipleChoice);
}

}  // namespace
}  // namespace llmcodec
