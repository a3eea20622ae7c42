// SPDX-License-Identifier: BSD-3-Clause
#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

class Files : public testing::Test {
 protected:
  Files() {
    std::string pattern = (fs::temp_directory_path() / "llmcodec_test_XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~Files() override {
    std::error_code code;
    fs::permissions(folder_, fs::perms::owner_all, code);
    fs::remove_all(folder_, code);
  }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string folder_;
};

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

TEST_F(Files, written_text_is_read) {
  ASSERT_TRUE(write_text_file(path("a"), "hello").is_ok());
  EXPECT_EQ(read_text_file(path("a"), 5).value(), "hello");
  EXPECT_EQ(read_file(path("a"), 100).value().size(), 5u);
  EXPECT_EQ(read_prefix(path("a"), 4).value(), "hell");
  EXPECT_EQ(read_prefix(path("a"), 9).value(), "hello");
}

TEST_F(Files, empty_file) {
  ASSERT_TRUE(write_text_file(path("empty"), "").is_ok());
  EXPECT_EQ(read_text_file(path("empty"), 0).value(), "");
  EXPECT_EQ(read_prefix(path("empty"), 4).value(), "");
}

TEST_F(Files, too_large_to_read_whole) {
  ASSERT_TRUE(write_text_file(path("a"), "hello").is_ok());
  const auto result = read_file(path("a"), 4);
  ASSERT_FALSE(result.is_ok());
  EXPECT_EQ(result.error().kind, ErrorKind::kLimit);
  EXPECT_EQ(result.error().file, path("a"));
}

TEST_F(Files, absent_and_not_a_file) {
  for (const std::string& name : {path("absent"), folder_}) {
    const auto read = read_file(name, 10);
    ASSERT_FALSE(read.is_ok()) << name;
    EXPECT_EQ(read.error().kind, ErrorKind::kIo);
    EXPECT_EQ(read.error().file, name);
  }
}

TEST_F(Files, atomic_file_appears_only_when_committed) {
  ASSERT_TRUE(write_text_file(path("out"), "old").is_ok());
  {
    Result<AtomicFile> file = AtomicFile::create(path("out"));
    ASSERT_TRUE(file.is_ok());
    ASSERT_TRUE(file->write(bytes_of("new ")).is_ok());
    ASSERT_TRUE(file->write(bytes_of("text")).is_ok());
    ASSERT_TRUE(file->write_at(0, bytes_of("NEW")).is_ok());
    EXPECT_EQ(file->size(), 8u);
    EXPECT_EQ(read_text_file(path("out"), 100).value(), "old");
    ASSERT_TRUE(file->commit().is_ok());
  }
  EXPECT_EQ(read_text_file(path("out"), 100).value(), "NEW text");
  EXPECT_FALSE(fs::exists(AtomicFile::partial_path(path("out"))));
}

TEST_F(Files, atomic_file_given_up_leaves_the_old_one) {
  ASSERT_TRUE(write_text_file(path("out"), "old").is_ok());
  {
    Result<AtomicFile> file = AtomicFile::create(path("out"));
    ASSERT_TRUE(file.is_ok());
    ASSERT_TRUE(file->write(bytes_of("new")).is_ok());
  }
  EXPECT_EQ(read_text_file(path("out"), 100).value(), "old");
  EXPECT_FALSE(fs::exists(AtomicFile::partial_path(path("out"))));
}

TEST_F(Files, atomic_file_goes_on_where_it_was_recorded) {
  {
    Result<AtomicFile> file = AtomicFile::create(path("out"));
    ASSERT_TRUE(file.is_ok());
    ASSERT_TRUE(file->write(bytes_of("abcdef")).is_ok());
    file->keep_partial();
  }
  const auto too_long = AtomicFile::resume(path("out"), 7);
  ASSERT_FALSE(too_long.is_ok());
  EXPECT_EQ(too_long.error().kind, ErrorKind::kIo);
  ASSERT_TRUE(fs::exists(AtomicFile::partial_path(path("out"))));  // a failed resume keeps the work

  Result<AtomicFile> file = AtomicFile::resume(path("out"), 4);
  ASSERT_TRUE(file.is_ok());
  EXPECT_EQ(file->size(), 4u);
  ASSERT_TRUE(file->write(bytes_of("XY")).is_ok());
  ASSERT_TRUE(file->commit().is_ok());
  EXPECT_EQ(read_text_file(path("out"), 100).value(), "abcdXY");
  EXPECT_FALSE(AtomicFile::resume(path("absent"), 0).is_ok());
}

TEST_F(Files, read_only_folder) {
  // Root may write into any folder of a real file system, but not create files in /proc.
  const bool root = ::geteuid() == 0;
  ASSERT_EQ(::chmod(folder_.c_str(), 0555), 0);
  const Status status = write_text_file(root ? "/proc/llmcodec_test" : path("a"), "x");
  ASSERT_FALSE(status.is_ok());
  EXPECT_EQ(status.error().kind, ErrorKind::kIo);
}

TEST_F(Files, folder_that_does_not_exist) {
  const Status status = write_text_file(path("no/such/a"), "x");
  ASSERT_FALSE(status.is_ok());
  EXPECT_EQ(status.error().kind, ErrorKind::kIo);
  EXPECT_EQ(status.error().file, path("no/such/a.partial"));
}

TEST_F(Files, full_disk) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  fs::create_symlink("/dev/full", AtomicFile::partial_path(path("out")));
  Result<AtomicFile> file = AtomicFile::create(path("out"));
  ASSERT_TRUE(file.is_ok());
  const Status status = file->write(bytes_of("x"));
  ASSERT_FALSE(status.is_ok());
  EXPECT_EQ(status.error().kind, ErrorKind::kIo);
  EXPECT_NE(status.error().message.find("No space left"), std::string::npos);
}

}  // namespace
}  // namespace llmcodec
