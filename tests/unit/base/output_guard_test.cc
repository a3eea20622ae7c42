// SPDX-License-Identifier: BSD-3-Clause
#include "base/output_guard.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <thread>

#include "base/file.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

class OutputGuard : public testing::Test {
 protected:
  OutputGuard() {
    std::string pattern = (fs::temp_directory_path() / "llmcodec_test_XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
    EXPECT_TRUE(write_text_file(path("input"), "input").is_ok());
  }
  ~OutputGuard() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void refused(const std::string& output, const std::string& message) {
    const std::vector<std::string> inputs = {"", path("absent"), path("input")};
    const Status status = check_output_file(output, inputs);
    EXPECT_EQ(check_output_files(std::array{output}, inputs).is_ok(), status.is_ok());
    ASSERT_FALSE(status.is_ok()) << output;
    EXPECT_EQ(status.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_EQ(status.error().file, output);
    EXPECT_NE(status.error().message.find(message), std::string::npos) << status.error().message;
  }
  std::string folder_;
};

TEST_F(OutputGuard, a_new_file_and_another_file_are_taken) {
  ASSERT_TRUE(write_text_file(path("old"), "old").is_ok());
  const std::vector<std::string> inputs = {path("input")};
  for (const char* name : {"new", "old", "no/such/folder"})
    EXPECT_TRUE(check_output_file(path(name), inputs).is_ok()) << name;
}

TEST_F(OutputGuard, an_input_is_refused_under_every_name) {
  fs::create_symlink(path("input"), path("link"));
  fs::create_hard_link(path("input"), path("hard_link"));
  for (const std::string& name : {path("input"), path("./input"), path("link"), path("hard_link")})
    refused(name, "is the input " + path("input"));
}

TEST_F(OutputGuard, a_link_is_refused_and_stays) {
  ASSERT_TRUE(write_text_file(path("target"), "old").is_ok());
  fs::create_symlink(path("target"), path("link"));
  fs::create_symlink(path("nowhere"), path("dangling"));
  fs::create_symlink(path("loop"), path("loop"));
  for (const char* name : {"link", "dangling", "loop"}) {
    refused(path(name), "is a symbolic link");
    EXPECT_FALSE(write_text_file(path(name), "new").is_ok());
    EXPECT_TRUE(fs::is_symlink(fs::symlink_status(path(name)))) << name;
  }
  EXPECT_FALSE(fs::exists(path("nowhere")));
}

TEST_F(OutputGuard, what_is_no_name_of_a_file_is_refused) {
  refused("", "has no name");
  refused(path("new/"), "ends in '/'");
}

TEST_F(OutputGuard, the_folder_of_an_output_must_be_there) {
  EXPECT_TRUE(check_output_folder(path("new")).is_ok());
  EXPECT_TRUE(check_output_folder("new").is_ok());
  EXPECT_TRUE(check_output_name("./-").is_ok());
  for (const char* name : {"", "-"}) EXPECT_FALSE(check_output_name(name).is_ok());
  for (const auto& [output, message] :
       {std::pair{path("no/new"), "its folder is not there (No such file or directory): " + path("no")},
        std::pair{path("input/new"), path("input") + " is no folder"}}) {
    for (const bool asked_before : {true, false}) {
      const Status status = asked_before ? check_output_folder(output) : write_text_file(output, "x");
      ASSERT_FALSE(status.is_ok()) << output;
      EXPECT_EQ(status.error().kind, ErrorKind::kIo);
      EXPECT_EQ(status.error().file, output);
      EXPECT_NE(status.error().message.find(message), std::string::npos) << status.error().message;
    }
  }
}

TEST_F(OutputGuard, what_is_no_regular_file_is_refused_and_stays) {
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  fs::create_symlink(path("fifo"), path("link"));
  fs::create_directory(path("folder"));
  refused(path("fifo"), "no regular file");
  refused(path("link"), "no regular file");
  refused(path("folder"), "is a folder");
  for (const char* name : {"fifo", "link", "folder"}) {
    EXPECT_FALSE(write_text_file(path(name), "x").is_ok()) << name;
    const OutputLock lock = OutputLock::file(path(name)).value();
    EXPECT_FALSE(AtomicFile::create_resumable(lock, path(name)).is_ok()) << name;
  }
  EXPECT_TRUE(fs::is_fifo(path("fifo")) && fs::is_symlink(path("link")) && fs::is_directory(path("folder")));
}

// The exit code of a child that tries to lock: 0 when it may.
template <class Lock>
int lock_in_a_child(const Lock& lock) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(lock().is_ok() ? 0 : 1);
  int status = -1;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST_F(OutputGuard, a_lock_keeps_others_away_while_it_is_held) {
  const auto lock = [this] { return OutputLock::file(path("out")); };
  {
    const auto held = lock();
    ASSERT_TRUE(held.is_ok()) << held.error().to_string();
    EXPECT_EQ(lock_in_a_child(lock), 1);
    const auto second = lock();
    ASSERT_FALSE(second.is_ok());
    EXPECT_EQ(second.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_EQ(second.error().file, path("out"));
    EXPECT_NE(second.error().message.find("another llmcodec"), std::string::npos);
    EXPECT_TRUE(OutputLock::file(path("another")).is_ok());
    EXPECT_TRUE(fs::exists(path(".llmcodec-lock")));
  }
  EXPECT_FALSE(fs::exists(path(".llmcodec-lock")));
  EXPECT_EQ(lock_in_a_child(lock), 0);
}

TEST_F(OutputGuard, a_folder_and_its_files_are_one_output) {
  {
    const auto folder = OutputLock::folder(folder_);
    ASSERT_TRUE(folder.is_ok()) << folder.error().to_string();
    EXPECT_FALSE(OutputLock::file(path("model.safetensors")).is_ok());
    EXPECT_FALSE(OutputLock::folder(folder_ + "/.").is_ok());
  }
  const auto file = OutputLock::file(path("model.safetensors"));
  ASSERT_TRUE(file.is_ok());
  EXPECT_FALSE(OutputLock::folder(folder_).is_ok());
  EXPECT_TRUE(OutputLock::file(path("other.safetensors")).is_ok());
}

TEST_F(OutputGuard, what_is_larger_than_the_free_space_is_refused) {
  EXPECT_TRUE(check_space(path("out"), 1).is_ok());
  EXPECT_TRUE(check_space(path("no/such/folder/out"), 1).is_ok());  // it may be made
  const Status status = check_space(path("out"), UINT64_MAX);
  ASSERT_FALSE(status.is_ok());
  EXPECT_EQ(status.error().kind, ErrorKind::kIo);
  EXPECT_EQ(status.error().file, path("out"));
  EXPECT_NE(status.error().message.find("No space left"), std::string::npos);
}

TEST_F(OutputGuard, a_folder_is_locked_under_every_name) {
  fs::create_directory(path("real"));
  fs::create_directory_symlink(path("real"), path("link"));
  const auto held = OutputLock::file(path("real/out"));
  ASSERT_TRUE(held.is_ok());
  EXPECT_FALSE(OutputLock::file(path("link/out")).is_ok());
  EXPECT_FALSE(OutputLock::file(path("link/../real/out")).is_ok());
}

// Of many that write different files of one folder, each removing the lock file when it believes to be the last, none
// is in the way of another, and nothing is left.
TEST_F(OutputGuard, writers_of_different_files_never_meet) {
  std::vector<std::thread> threads;
  std::atomic<int> refusals = 0;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t, &refusals] {
      for (int i = 0; i < 300; ++i) refusals += OutputLock::file(path(std::to_string(t))).is_ok() ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refusals, 0);
  EXPECT_FALSE(fs::exists(path(".llmcodec-lock")));
}

}  // namespace
}  // namespace llmcodec
