// SPDX-License-Identifier: BSD-3-Clause
// What the parser makes of command lines: the recorded command, repeated options, values
// out of range, completion.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "commands.h"
#include "completion_script.h"
#include "exit_code.h"

namespace llmcodec::cli {
namespace {

using ::testing::HasSubstr;

std::string recorded(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "./build/release/llmcodec");
  return Session(static_cast<int>(arguments.size()), arguments.data()).recorded_command();
}

TEST(RecordedCommand, leaves_out_what_changes_no_byte) {
  EXPECT_EQ(recorded({"compress", "in", "--threads", "2", "-o", "out", "--json", "--ffmpeg=/x/y", "-q",
                      "--timeout", "5", "--restart", "--bpw", "3"}),
            "llmcodec compress in -o out --bpw 3");
}

TEST(RecordedCommand, quotes_for_the_shell) {
  EXPECT_EQ(recorded({"compress", "my model", "--keep", "it's|", ""}),
            R"(llmcodec compress 'my model' --keep 'it'\''s|' '')");
}

// The error of a command line, empty when it is one that can run.
std::string usage_failure(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "llmcodec");
  const int argc = static_cast<int>(arguments.size());
  Session session(argc, arguments.data());
  CLI::App app("test", "llmcodec");
  for (const auto add : {add_compress, add_decompress, add_bench, add_eval, add_completion})
    add(app, session);
  try {
    app.parse(argc, arguments.data());
  } catch (const CLI::ParseError& failure) {
    return failure.what();
  }
  EXPECT_TRUE(session.run());
  return "";
}

TEST(CommandLine, repeated_options_do_not_swallow_positionals) {
  EXPECT_EQ(
      usage_failure({"compress", "--keep", "a", "--keep", "b", "in", "-o", "out", "--set", "x=codec:raw"}),
      "");
  EXPECT_EQ(usage_failure({"eval", "--task", "a.jsonl", "candidate", "--task", "b.jsonl"}), "");
  EXPECT_EQ(usage_failure(
                {"bench", "--codec", "libx265:preset=medium,tune=psnr", "--codec", "vvc", "--bpw", "2,3"}),
            "");
}

TEST(CommandLine, one_target_at_most) {
  const char* const kTargets[][2] = {{"--bpw", "3"}, {"--size", "1M"}, {"--snr", "10"}, {"--step", "0.5"}};
  for (const auto& a : kTargets) {
    EXPECT_EQ(usage_failure({"compress", "in", "-o", "out", a[0], a[1]}), "") << a[0];
    for (const auto& b : kTargets) {
      if (&a == &b) continue;
      EXPECT_THAT(usage_failure({"compress", "in", "-o", "out", a[0], a[1], b[0], b[1]}),
                  HasSubstr("excludes"));
    }
  }
}

TEST(CommandLine, values_out_of_range_name_the_option) {
  EXPECT_THAT(usage_failure({"compress", "in", "-o", "out", "--bpw", "nan"}), HasSubstr("--bpw"));
  EXPECT_THAT(usage_failure({"compress", "in", "-o", "out", "--bpw", "3x"}), HasSubstr("--bpw"));
  EXPECT_THAT(usage_failure({"compress", "in", "-o", "out", "--bit-depth", "17"}), HasSubstr("--bit-depth"));
  EXPECT_THAT(usage_failure({"compress", "in", "-o", "out", "--threads", "-1"}), HasSubstr("--threads"));
  EXPECT_THAT(usage_failure({"compress", "in", "-o", "out", "--layout", "spectrum"}), HasSubstr("--layout"));
  EXPECT_THAT(usage_failure({"decompress", "in", "-o", "out", "--dtype", "f8"}), HasSubstr("--dtype"));
  EXPECT_THAT(usage_failure({"decompress", "in", "-o", "out", "--shard-size", "5 apples"}),
              HasSubstr("--shard-size"));
}

TEST(CompletionScript, knows_every_command_option_and_fixed_value) {
  const char* const kArguments[] = {"llmcodec"};
  Session session(1, kArguments);
  CLI::App app("test", "llmcodec");
  add_decompress(app, session);
  add_completion(app, session);
  for (const Shell shell : {Shell::kBash, Shell::kZsh, Shell::kFish}) {
    const std::string script = completion_script(app, shell);
    for (const char* word : {"decompress", "shard-size", "q8_0", "completion", "fish"})
      EXPECT_THAT(script, HasSubstr(word));
  }
}

TEST(ExitCodes, are_the_documented_ones) {
  EXPECT_EQ(exit_code(ErrorKind::kInvalidArgument), 2);
  EXPECT_EQ(exit_code(ErrorKind::kIo), 3);
  EXPECT_EQ(exit_code(ErrorKind::kCorrupt), 4);
  EXPECT_EQ(exit_code(ErrorKind::kUnsupported), 5);
  EXPECT_EQ(exit_code(ErrorKind::kLimit), 6);
  EXPECT_EQ(exit_code(ErrorKind::kInternal), 70);
  EXPECT_EQ(exit_code(ErrorKind::kInterrupted), 130);
}

}  // namespace
}  // namespace llmcodec::cli
