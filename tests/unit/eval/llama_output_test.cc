// SPDX-License-Identifier: BSD-3-Clause
#include "eval/llama_output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace llmcodec {
namespace {

using ::testing::HasSubstr;

// As version 0.7.0 (build 11669) prints it, shortened.
constexpr const char* kDivergence = R"(
chunk             PPL               ln(PPL(Q)/PPL(base))          KL Divergence              Δp RMS            Same top p
   1      12.9547 ±    2.4934       0.10000 ±       -nan      0.20000 ±    0.00000     0.000 ±  0.000 %    90.000 ±  0.000 %

====== Perplexity statistics ======
Mean PPL(Q)                   :  21.372880 ±   3.127701
Mean PPL(base)                :  21.272678 ±   3.093919
Cor(ln(PPL(Q)), ln(PPL(base))):  99.95%
Mean ln(PPL(Q)/PPL(base))     :   0.004699 ±   0.004697
Mean PPL(Q)/PPL(base)         :   1.004710 ±   0.004719
Mean PPL(Q)-PPL(base)         :   0.100202 ±   0.103952

====== KL divergence statistics ======
Mean    KLD:   0.251234 ±   0.002500
Maximum KLD:   7.500038
99.9%   KLD:   3.250036
99.0%   KLD:   1.000028
Minimum KLD:  -0.000045

====== Token probability statistics ======
Mean    Δp: -1.250 ± 0.125 %
RMS Δp    :  5.500 ± 0.250 %
Same top p: 78.125 ± 0.500 %
0.07.623.862 I kl_divergence: computing over 29 chunks, n_ctx=512, batch_size=2048, n_seq=4
)";

TEST(LlamaOutput, divergence_is_read) {
  auto out = parse_divergence(kDivergence);
  ASSERT_TRUE(out.is_ok()) << out.error().to_string();
  EXPECT_DOUBLE_EQ(out->perplexity.value, 21.372880);
  EXPECT_DOUBLE_EQ(out->perplexity.error, 3.127701);
  EXPECT_DOUBLE_EQ(out->original_perplexity.value, 21.272678);
  EXPECT_DOUBLE_EQ(out->divergence.mean_kl.value, 0.251234);
  EXPECT_DOUBLE_EQ(out->divergence.mean_kl.error, 0.0025);
  EXPECT_DOUBLE_EQ(out->divergence.kl_999, 3.250036);
  EXPECT_DOUBLE_EQ(out->divergence.max_kl, 7.500038);
  EXPECT_DOUBLE_EQ(out->divergence.top1_percent.value, 78.125);
  EXPECT_DOUBLE_EQ(out->divergence.log_perplexity_ratio.value, 0.004699);
  EXPECT_EQ(parse_chunks(kDivergence), 29);
}

TEST(LlamaOutput, truncation_gives_a_named_error_or_the_same_numbers) {
  const std::string whole = kDivergence;
  const size_t enough = whole.find("0.500 %") + 5;
  for (size_t size = 0; size < enough; ++size) {
    auto out = parse_divergence(std::string_view(whole).substr(0, size));
    if (out.is_ok()) continue;  // only a last number cut in its digits: below
    EXPECT_EQ(out.error().kind, ErrorKind::kUnsupported);
    EXPECT_THAT(out.error().message, HasSubstr("output has no"));
  }
  EXPECT_FALSE(parse_divergence(std::string_view(whole).substr(0, whole.find("Same top p: 78"))).is_ok());
}

TEST(LlamaOutput, nan_is_passed_on) {
  std::string text = kDivergence;
  size_t at = text.find("0.251234");
  text.replace(at, 8, "     nan");
  auto out = parse_divergence(text);
  ASSERT_TRUE(out.is_ok());
  EXPECT_TRUE(std::isnan(out->divergence.mean_kl.value));
}

TEST(LlamaOutput, perplexity_with_its_error) {
  auto out =
      parse_perplexity("[1]12.9547,[2]21.3729,\n0.22.312.820 I Final estimate: PPL = 21.3729 +/- 3.12770\n");
  ASSERT_TRUE(out.is_ok()) << out.error().to_string();
  EXPECT_DOUBLE_EQ(out->value, 21.3729);
  EXPECT_DOUBLE_EQ(out->error, 3.12770);
  auto none = parse_perplexity("0.00.1 I loading\n0.22.312.820 E llama_decode: failed\n\n");
  ASSERT_FALSE(none.is_ok());
  EXPECT_THAT(none.error().message, HasSubstr("llama_decode: failed"));
}

TEST(LlamaOutput, task_table_must_reach_the_last_task) {
  const char* table =
      "task\tacc_norm\n1\t0.00000000\n2\t50.00000000\n3\t33.33333333\n\n0.18.8 I Final result: 33.3 +/- 1\n";
  auto accuracy = parse_task_accuracy(table, 3);
  ASSERT_TRUE(accuracy.is_ok());
  EXPECT_NEAR(accuracy->value, 33.3333, 1e-3);
  EXPECT_NEAR(accuracy->error, 100 * std::sqrt(1.0 / 3 * 2 / 3 / 2), 1e-3);
  auto partial = parse_task_accuracy(table, 4);
  ASSERT_FALSE(partial.is_ok());
  EXPECT_THAT(partial.error().message, HasSubstr("3 of 4 tasks"));
  EXPECT_FALSE(parse_task_accuracy("no table\n", 0).is_ok());
  EXPECT_EQ(*parse_task_count(table), 3u);
}

TEST(LlamaOutput, winogrande_and_hellaswag_columns) {
  EXPECT_DOUBLE_EQ(parse_task_accuracy("1\t100.0000\t -5.353192   -4.891835  2  2\n", 1)->value, 100);
  EXPECT_DOUBLE_EQ(
      parse_task_accuracy("1\t100.00000000%\t[20.6543%, 100.0000%]\n2\t50.00000000%\t[9.4%, 90.5%]\n", 2)
          ->value,
      50);
}

TEST(LlamaOutput, version_and_last_message) {
  EXPECT_EQ(parse_version("version: 0.7.0 (build 11669, commit Debian)\nbuilt with GNU\n"),
            "0.7.0 (build 11669, commit Debian)");
  EXPECT_EQ(parse_version("nothing"), "");
  EXPECT_EQ(last_message("a\n0.22.312.820 I done here\n---\n"), "done here");
  EXPECT_EQ(last_message(""), "(nothing)");
}

}  // namespace
}  // namespace llmcodec
