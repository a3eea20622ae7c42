// SPDX-License-Identifier: BSD-3-Clause
#include "base/sandbox.h"

#include <gtest/gtest.h>
#include <seccomp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/subprocess.h"

namespace llmcodec {
namespace {

constexpr uint64_t kMemory = uint64_t{256} << 20;

// Runs sandbox_probe.cc's program, which tries `what` on `value`.
ProcessResult probe(const std::string& what, const std::string& value, std::optional<Sandbox> sandbox,
                    std::span<const std::byte> input = {}) {
  ProcessOptions options;
  options.arguments = {LLMCODEC_SANDBOX_PROBE, what, value};
  options.sandbox = std::move(sandbox);
  options.input = input;
  auto result = run_process(options);
  if (!result.is_ok()) ADD_FAILURE() << what << ": " << result.error().to_string();
  return result.is_ok() ? std::move(result).value() : ProcessResult{};
}

class SandboxTest : public testing::Test {
 protected:
  void SetUp() override {
    if (sandbox_state() != "landlock+seccomp") GTEST_SKIP() << "no sandbox here: " << sandbox_state();
    std::string pattern = (std::filesystem::path(testing::TempDir()) / "llmcodec-sandbox-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr) << pattern;
    folder_ = pattern;
    restore_file();
  }
  void TearDown() override {
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
  }
  std::string file() const { return (folder_ / "private").string(); }
  void restore_file() const {
    std::ofstream(file()) << "secret";
    std::filesystem::permissions(file(),
                                 std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  }
  // Each is allowed without a sandbox, so that a refusal is the sandbox's.
  void expect_refused(const std::string& what, const Sandbox& sandbox) const {
    EXPECT_NE(probe(what, file(), sandbox).exit_code, 0) << what;
    struct stat info {};
    EXPECT_EQ(::stat(file().c_str(), &info), 0) << what;
    EXPECT_EQ(info.st_size, 6) << what;
    EXPECT_EQ(info.st_mode & 0777u, 0600u) << what;
    const ProcessResult without = probe(what, file(), {});
    EXPECT_EQ(without.exit_code, 0) << what << ": " << std::strerror(without.exit_code);
    restore_file();
  }
  std::filesystem::path folder_;
};

TEST_F(SandboxTest, no_file_is_changed) {
  for (const char* what :
       {"write", "truncate-on-open", "truncate", "create", "mkdir", "rename", "unlink", "chmod"}) {
    expect_refused(what, {.address_space_bytes = kMemory});
    // Reading alone is what a policy gives.
    std::filesystem::remove(file() + ".new");
    std::filesystem::remove(file() + ".folder");
    expect_refused(what, {.readable = {folder_.string()}, .address_space_bytes = kMemory});
    std::filesystem::remove(file() + ".new");
    std::filesystem::remove(file() + ".folder");
  }
}

TEST_F(SandboxTest, only_the_systems_files_and_those_of_the_policy_are_read) {
  expect_refused("read", {.address_space_bytes = kMemory});
  EXPECT_EQ(probe("list", folder_.string(), Sandbox{.address_space_bytes = kMemory}).exit_code, EACCES);
  EXPECT_EQ(probe("read", "/etc/passwd", Sandbox{.address_space_bytes = kMemory}).exit_code, EACCES);
  EXPECT_EQ(probe("read", "/proc/self/environ", Sandbox{.address_space_bytes = kMemory}).exit_code, EACCES);
  for (const std::string& allowed : {folder_.string(), file()}) {
    const Sandbox sandbox = {.readable = {allowed}, .address_space_bytes = kMemory};
    EXPECT_EQ(probe("read", file(), sandbox).exit_code, 0) << allowed;
  }
}

TEST_F(SandboxTest, folders_of_the_library_path_are_read) {
  const char* before = std::getenv("LD_LIBRARY_PATH");
  const std::string kept = before != nullptr ? before : "";
  ::setenv("LD_LIBRARY_PATH", (kept + ":" + folder_.string()).c_str(), 1);
  EXPECT_EQ(probe("read", file(), Sandbox{.address_space_bytes = kMemory}).exit_code, 0);
  if (before != nullptr) {
    ::setenv("LD_LIBRARY_PATH", kept.c_str(), 1);
  } else {
    ::unsetenv("LD_LIBRARY_PATH");
  }
  EXPECT_EQ(probe("read", file(), Sandbox{.address_space_bytes = kMemory}).exit_code, EACCES);
}

TEST_F(SandboxTest, no_network_no_process_no_signal) {
  for (const char* what : {"inet", "unix", "fork", "signal"})
    expect_refused(what, {.address_space_bytes = kMemory});
}

TEST_F(SandboxTest, no_more_memory_than_stated) {
  EXPECT_EQ(probe("memory", "200", Sandbox{.address_space_bytes = kMemory}).exit_code, 0);
  EXPECT_EQ(probe("memory", "300", Sandbox{.address_space_bytes = kMemory}).exit_code, ENOMEM);
}

TEST_F(SandboxTest, pipes_and_threads_are_left) {
  const std::vector<std::byte> input(3'000'000, std::byte{7});
  const ProcessResult copied = probe("copy", "", Sandbox{.address_space_bytes = kMemory}, input);
  EXPECT_EQ(copied.exit_code, 0);
  EXPECT_EQ(copied.output, input);
  EXPECT_EQ(probe("thread", "", Sandbox{.address_space_bytes = kMemory}).exit_code, 0);
}

TEST_F(SandboxTest, libraries_installed_with_a_program_are_read) {
  for (const char* name : {"bin", "lib", "share"}) std::filesystem::create_directory(folder_ / name);
  const std::string program = (folder_ / "bin" / "probe").string();
  std::filesystem::copy_file(LLMCODEC_SANDBOX_PROBE, program);
  for (const auto& [name, wanted] : {std::pair{"lib", 0}, {"share", EACCES}}) {
    const std::string path = (folder_ / name / "file").string();
    std::ofstream(path) << "text";
    ProcessOptions options;
    options.arguments = {program, "read", path};
    options.sandbox = Sandbox{.address_space_bytes = kMemory};
    const auto result = run_process(options);
    ASSERT_TRUE(result.is_ok()) << result.error().to_string();
    EXPECT_EQ(result->exit_code, wanted) << name;
  }
}

// The sandbox is gone through by what a script executes.
TEST_F(SandboxTest, it_holds_for_the_program_that_a_script_executes) {
  const std::string script = (folder_ / "script").string();
  std::ofstream(script) << "#!/bin/sh\nexec '" << LLMCODEC_SANDBOX_PROBE << "' \"$@\"\n";
  std::filesystem::permissions(script, std::filesystem::perms::owner_all);
  ProcessOptions options;
  options.arguments = {script, "read", file()};
  options.sandbox = Sandbox{.readable = {LLMCODEC_SANDBOX_PROBE}, .address_space_bytes = kMemory};
  const auto result = run_process(options);
  ASSERT_TRUE(result.is_ok()) << result.error().to_string();
  EXPECT_EQ(result->exit_code, EACCES) << result->error_text;
}

// As a kernel without Landlock answers. In the child of a death test: a filter cannot be taken off again.
void run_without_landlock() {
  scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
  const bool loaded =
      seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(landlock_create_ruleset), 0) == 0 &&
      seccomp_load(filter) == 0;
  seccomp_release(filter);
  const bool told = sandbox_state() == "none: Landlock: Function not implemented";
  const Sandbox sandbox = {.address_space_bytes = kMemory};
  // Were it there, this would be refused.
  const bool runs = probe("inet", "", sandbox).exit_code == 0;
  const bool limited = probe("memory", "300", sandbox).exit_code == ENOMEM;
  std::fprintf(stderr, "loaded %d told %d runs %d limited %d\n", loaded, told, runs, limited);
  std::exit(0);
}

TEST(SandboxMissing, a_system_without_it_is_told_of_and_has_the_limits) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a fresh process, which has not asked the kernel yet
  EXPECT_EXIT(run_without_landlock(), testing::ExitedWithCode(0), "loaded 1 told 1 runs 1 limited 1");
}

}  // namespace
}  // namespace llmcodec
