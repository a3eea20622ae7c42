// SPDX-License-Identifier: BSD-3-Clause
#include "base/output_guard.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <filesystem>

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

TEST_F(OutputGuard, what_is_no_regular_file_is_refused_and_stays) {
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  fs::create_symlink(path("fifo"), path("link"));
  fs::create_directory(path("folder"));
  refused(path("fifo"), "no regular file");
  refused(path("link"), "no regular file");
  refused(path("folder"), "is a folder");
  for (const char* name : {"fifo", "link", "folder"}) {
    EXPECT_FALSE(write_text_file(path(name), "x").is_ok()) << name;
    EXPECT_FALSE(AtomicFile::create_resumable(path(name)).is_ok()) << name;
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
  const auto lock = [this] { return open_locked(path("lock"), O_RDWR | O_CREAT); };
  {
    const auto held = lock();
    ASSERT_TRUE(held.is_ok()) << held.error().to_string();
    EXPECT_EQ(lock_in_a_child(lock), 1);
    const auto second = lock();
    ASSERT_FALSE(second.is_ok());
    EXPECT_EQ(second.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_NE(second.error().message.find("another llmcodec"), std::string::npos);
  }
  EXPECT_EQ(lock_in_a_child(lock), 0);
}

TEST_F(OutputGuard, a_folder_lock_keeps_others_away_and_leaves_nothing) {
  const auto lock = [this] { return FolderLock::take(folder_); };
  {
    const auto held = lock();
    ASSERT_TRUE(held.is_ok()) << held.error().to_string();
    EXPECT_EQ(lock_in_a_child(lock), 1);
    EXPECT_TRUE(fs::exists(path(".llmcodec-lock")));
  }
  EXPECT_FALSE(fs::exists(path(".llmcodec-lock")));
  EXPECT_TRUE(lock().is_ok());
}

// The holder removes the file before it lets go, as a finished run does with its journal.
TEST_F(OutputGuard, a_lock_is_on_the_file_that_has_the_name) {
  auto old = open_locked(path("lock"), O_RDWR | O_CREAT);
  ASSERT_TRUE(old.is_ok());
  ASSERT_TRUE(fs::remove(path("lock")));
  const auto lock = open_locked(path("lock"), O_RDWR | O_CREAT);
  ASSERT_TRUE(lock.is_ok()) << lock.error().to_string();
  old->close();
  EXPECT_EQ(lock_in_a_child([this] { return open_locked(path("lock"), O_RDWR | O_CREAT); }), 1);
}

}  // namespace
}  // namespace llmcodec
