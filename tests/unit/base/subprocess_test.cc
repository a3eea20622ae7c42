// SPDX-License-Identifier: BSD-3-Clause
#include "base/subprocess.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <sstream>
#include <thread>

#include "base/error.h"
#include "base/stopwatch.h"

namespace llmcodec {
namespace {

ProcessOptions shell(const std::string& script) {
  ProcessOptions options;
  options.arguments = {"sh", "-c", script};
  return options;
}

std::string text(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

size_t open_descriptors() {
  size_t count = 0;
  DIR* folder = ::opendir("/proc/self/fd");
  while (folder != nullptr && ::readdir(folder) != nullptr) ++count;
  if (folder != nullptr) ::closedir(folder);
  return count;
}

TEST(Subprocess, gives_output_error_text_and_exit_code) {
  const auto result = run_process(shell("echo out; echo err >&2; exit 3"));
  ASSERT_TRUE(result.is_ok()) << result.error().to_string();
  EXPECT_EQ(text(result->output), "out\n");
  EXPECT_EQ(result->error_text, "err\n");
  EXPECT_EQ(result->exit_code, 3);
}

TEST(Subprocess, error_text_is_handed_on_as_it_arrives) {
  std::string seen;
  int pieces = 0;
  ProcessOptions options = shell("echo one >&2; sleep 0.2; echo two >&2; head -c 20000 /dev/zero >&2");
  options.error_sink = [&](std::string_view piece) {
    seen += piece;
    ++pieces;
  };
  const auto result = run_process(options);
  ASSERT_TRUE(result.is_ok()) << result.error().to_string();
  EXPECT_EQ(seen, "one\ntwo\n" + std::string(20000, '\0'));
  EXPECT_GE(pieces, 2);
  EXPECT_EQ(result->error_text.size(), 16384u);
}

TEST(Subprocess, much_data_both_ways_does_not_deadlock) {
  std::vector<std::byte> input(20'000'000);
  for (size_t i = 0; i < input.size(); ++i) input[i] = static_cast<std::byte>(i * 2654435761u >> 13);
  ProcessOptions options = shell("tee /dev/stderr");
  options.input = input;
  const auto result = run_process(options);
  ASSERT_TRUE(result.is_ok()) << result.error().to_string();
  EXPECT_EQ(result->output, input);
  EXPECT_EQ(result->error_text.size(), 16384u);
  EXPECT_EQ(std::memcmp(result->error_text.data(), input.data() + input.size() - 16384, 16384), 0);
}

TEST(Subprocess, child_that_stops_reading_early_is_no_error_here) {
  const std::vector<std::byte> input(5'000'000);
  ProcessOptions options = shell("head -c 10 >/dev/null; echo done; exit 7");
  options.input = input;
  for (int round = 0; round < 5; ++round) {
    const auto result = run_process(options);
    ASSERT_TRUE(result.is_ok()) << result.error().to_string();
    EXPECT_EQ(result->exit_code, 7);
    EXPECT_EQ(text(result->output), "done\n");
  }
}

TEST(Subprocess, timeout_kills_the_child) {
  for (const char* script : {"exec sleep 30", "exec >/dev/null 2>/dev/null; exec sleep 30"}) {
    ProcessOptions options = shell(script);
    options.timeout_seconds = 0.2;
    const Stopwatch watch;
    const auto result = run_process(options);
    ASSERT_FALSE(result.is_ok());
    EXPECT_EQ(result.error().kind, ErrorKind::kLimit);
    EXPECT_LT(watch.seconds(), 10);
  }
}

TEST(Subprocess, output_limit) {
  ProcessOptions options = shell("cat /dev/zero");
  options.max_output_bytes = 1'000'000;
  const auto result = run_process(options);
  ASSERT_FALSE(result.is_ok());
  EXPECT_EQ(result.error().kind, ErrorKind::kLimit);
}

TEST(Subprocess, missing_program_is_unsupported) {
  for (const char* name : {"no-such-program-here", "/no/such/program", "/tmp", "/etc/passwd"}) {
    ProcessOptions options;
    options.arguments = {name};
    const auto result = run_process(options);
    ASSERT_FALSE(result.is_ok()) << name;
    EXPECT_EQ(result.error().kind, ErrorKind::kUnsupported);
    EXPECT_NE(result.error().message.find(name), std::string::npos);
  }
}

TEST(Subprocess, the_environment_is_small) {
  for (const char* name : {"LLMC_TEST_SECRET", "LLMC_TEST_KEPT", "LLMC_GROUP_A", "LLMC_GROUPS"})
    ::setenv(name, name, 1);
  ::setenv("LC_ALL", "C.UTF-8", 1);
  ProcessOptions options = shell("exec env");
  options.kept_variables = {"LLMC_TEST_KEPT", "LLMC_GROUP_*"};
  const auto result = run_process(options);
  ASSERT_TRUE(result.is_ok()) << result.error().to_string();
  std::istringstream lines(text(result->output));
  std::map<std::string, std::string> environment;
  for (std::string line; std::getline(lines, line);)
    environment[line.substr(0, line.find('='))] = line.substr(line.find('=') + 1);
  for (const char* of_the_shell : {"PWD", "OLDPWD", "SHLVL", "_", "LD_LIBRARY_PATH"})
    environment.erase(of_the_shell);
  const std::map<std::string, std::string> wanted = {{"LANG", "C"},
                                                     {"LLMC_GROUP_A", "LLMC_GROUP_A"},
                                                     {"LLMC_TEST_KEPT", "LLMC_TEST_KEPT"},
                                                     {"PATH", std::getenv("PATH")}};
  EXPECT_EQ(environment, wanted);
}

TEST(Subprocess, descriptors_left_open_by_others_are_not_inherited) {
  const int left_open = ::dup2(1, 77);  // without close-on-exec
  ASSERT_EQ(left_open, 77);
  const auto result = run_process(shell("[ -e /proc/self/fd/1 ] && ! [ -e /proc/self/fd/77 ]"));
  ::close(left_open);
  ASSERT_TRUE(result.is_ok()) << result.error().to_string();
  EXPECT_EQ(result->exit_code, 0);
}

TEST(Subprocess, killed_by_a_signal) {
  const auto result = run_process(shell("kill -TERM $$"));
  ASSERT_TRUE(result.is_ok()) << result.error().to_string();
  EXPECT_EQ(result->exit_code, 128 + 15);
}

TEST(Subprocess, no_descriptor_leaks_and_threads_do_not_disturb_each_other) {
  const size_t before = open_descriptors();
  std::vector<std::thread> threads;
  std::vector<int> good(4);
  for (size_t t = 0; t < good.size(); ++t) {
    threads.emplace_back([t, &good] {
      for (int round = 0; round < 20; ++round) {
        const std::string word = fmt::format("thread-{}-{}", t, round);
        ProcessOptions options = shell("cat");
        options.input = std::as_bytes(std::span(word));
        const auto result = run_process(options);
        good[t] += result.is_ok() && text(result->output) == word;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, std::vector<int>(4, 20));
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace llmcodec
