// SPDX-License-Identifier: BSD-3-Clause
#include "base/file.h"

#include <fmt/format.h>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

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
  size_t files_here() const {
    const auto entries = fs::directory_iterator(folder_);
    return static_cast<size_t>(std::distance(fs::begin(entries), fs::end(entries)));
  }
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
  EXPECT_EQ(files_here(), 1u);
}

TEST_F(Files, atomic_file_given_up_leaves_the_old_one) {
  ASSERT_TRUE(write_text_file(path("out"), "old").is_ok());
  {
    Result<AtomicFile> file = AtomicFile::create(path("out"));
    ASSERT_TRUE(file.is_ok());
    ASSERT_TRUE(file->write(bytes_of("new")).is_ok());
  }
  {
    const OutputLock lock = OutputLock::file(path("out")).value();
    Result<AtomicFile> file = AtomicFile::create_resumable(lock, path("out"));
    ASSERT_TRUE(file.is_ok());
    ASSERT_TRUE(file->write(bytes_of("new")).is_ok());
  }
  EXPECT_EQ(read_text_file(path("out"), 100).value(), "old");
  EXPECT_EQ(files_here(), 1u);
}

TEST_F(Files, a_second_writer_of_one_file_is_refused) {
  Result<AtomicFile> first = AtomicFile::create(path("out"));
  ASSERT_TRUE(first.is_ok());
  ASSERT_TRUE(first->write(bytes_of("first")).is_ok());
  for (const std::string& name : {path("out"), path("./out"), folder_ + "//out"}) {
    const Result<AtomicFile> second = AtomicFile::create(name);
    ASSERT_FALSE(second.is_ok()) << name;
    EXPECT_EQ(second.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_EQ(second.error().file, name);
  }
  EXPECT_TRUE(AtomicFile::create(path("other")).is_ok());
  ASSERT_TRUE(first->commit().is_ok());
  EXPECT_EQ(read_text_file(path("out"), 100).value(), "first");
  EXPECT_TRUE(write_text_file(path("out"), "second").is_ok());
  EXPECT_EQ(files_here(), 1u);
}

TEST_F(Files, what_killed_writers_left_goes_and_nothing_else) {
  const std::vector<std::string> others = {"out.partial",      "out.1-.partial",  "out.1-2.partial.txt",
                                           "xout.1-2.partial", "out.a-2.partial", "out.1-2.json"};
  for (const std::string& name : others) ASSERT_TRUE(write_text_file(path(name), name).is_ok());
  ASSERT_TRUE(write_text_file(path("precious"), "precious").is_ok());
  fs::create_symlink(path("precious"), path("out.12-0.partial"));
  std::ofstream(path("out.4711-3.partial")) << "left";
  ASSERT_TRUE(write_text_file(path("out"), "new").is_ok());
  EXPECT_EQ(read_text_file(path("out"), 100).value(), "new");
  EXPECT_EQ(read_text_file(path("precious"), 100).value(), "precious");
  for (const std::string& name : others) EXPECT_EQ(read_text_file(path(name), 100).value(), name);
  EXPECT_EQ(files_here(), others.size() + 2);
}

TEST_F(Files, a_partial_file_of_somebody_else_is_not_written_over) {
  const OutputLock lock = OutputLock::file(path("out")).value();
  ASSERT_TRUE(write_text_file(path("out.partial"), "a download").is_ok());
  const auto file = AtomicFile::create_resumable(lock, path("out"));
  ASSERT_FALSE(file.is_ok());
  EXPECT_EQ(file.error().kind, ErrorKind::kInvalidArgument);
  EXPECT_EQ(file.error().file, path("out.partial"));
  EXPECT_NE(file.error().message.find("--restart"), std::string::npos);
  EXPECT_EQ(read_text_file(path("out.partial"), 100).value(), "a download");
}

TEST_F(Files, resumable_file_follows_no_link) {
  ASSERT_TRUE(write_text_file(path("precious"), "precious").is_ok());
  fs::create_symlink(path("precious"), AtomicFile::partial_path(path("out")));
  const OutputLock lock = OutputLock::file(path("out")).value();
  EXPECT_FALSE(AtomicFile::create_resumable(lock, path("out")).is_ok());
  EXPECT_FALSE(AtomicFile::resume(lock, path("out"), 0).is_ok());
  EXPECT_EQ(read_text_file(path("precious"), 100).value(), "precious");
}

TEST_F(Files, atomic_file_goes_on_where_it_was_recorded) {
  const OutputLock lock = OutputLock::file(path("out")).value();
  {
    Result<AtomicFile> file = AtomicFile::create_resumable(lock, path("out"));
    ASSERT_TRUE(file.is_ok());
    ASSERT_TRUE(file->write(bytes_of("abcdef")).is_ok());
    file->keep_partial();
  }
  const auto too_long = AtomicFile::resume(lock, path("out"), 7);
  ASSERT_FALSE(too_long.is_ok());
  EXPECT_EQ(too_long.error().kind, ErrorKind::kIo);
  ASSERT_TRUE(fs::exists(AtomicFile::partial_path(path("out"))));  // a failed resume keeps the work

  Result<AtomicFile> file = AtomicFile::resume(lock, path("out"), 4);
  ASSERT_TRUE(file.is_ok());
  EXPECT_EQ(file->size(), 4u);
  ASSERT_TRUE(file->write(bytes_of("XY")).is_ok());
  ASSERT_TRUE(file->commit().is_ok());
  EXPECT_EQ(read_text_file(path("out"), 100).value(), "abcdXY");
  EXPECT_FALSE(AtomicFile::resume(lock, path("absent"), 0).is_ok());
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
  EXPECT_EQ(status.error().file, path("no/such/a"));
}

TEST_F(Files, full_disk) {
  // The limit on the size of a file gives an error of the same kind, if its signal is ignored.
  struct rlimit old {};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const struct rlimit tight = {2, old.rlim_max};
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  Result<AtomicFile> file = AtomicFile::create(path("out"));
  ASSERT_TRUE(file.is_ok());
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &tight), 0);
  const Status status = file->write(bytes_of("xyz"));
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &old), 0);
  ::signal(SIGXFSZ, handler);
  ASSERT_FALSE(status.is_ok());
  EXPECT_EQ(status.error().kind, ErrorKind::kIo);
  EXPECT_EQ(status.error().file, file->partial());
  EXPECT_EQ(status.error().offset, 2u);
}

}  // namespace
}  // namespace llmcodec
