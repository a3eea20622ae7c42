// SPDX-License-Identifier: BSD-3-Clause
#include "base/byte_source.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/error.h"
#include "base/file.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

class ByteSources : public testing::Test {
 protected:
  ByteSources() {
    std::string pattern = (fs::temp_directory_path() / "llmcodec_test_XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~ByteSources() override { fs::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string folder_;
};

std::string text_at(const ByteSource& source, uint64_t offset, size_t size) {
  std::string text(size, '?');
  const Status status = source.read_at(offset, std::as_writable_bytes(std::span(text)));
  return status.is_ok() ? text : status.error().to_string();
}

constexpr std::string_view kText = "0123456789";

ByteSourcePtr from_function() {
  return function_byte_source(kText.size(), "called", [](uint64_t offset, std::span<std::byte> out) {
    std::ranges::copy(std::as_bytes(std::span(kText)).subspan(offset, out.size()), out.begin());
    return Status::ok();
  });
}

TEST_F(ByteSources, of_every_kind_read_the_same) {
  ASSERT_TRUE(write_text_file(path("a"), std::string(kText)).is_ok());
  const ByteSourcePtr file = open_byte_source(path("a")).value();
  for (const ByteSourcePtr& source :
       {file, memory_byte_source(std::as_bytes(std::span(kText)), "memory"), from_function()}) {
    SCOPED_TRACE(source->name());
    EXPECT_EQ(source->size(), 10u);
    EXPECT_EQ(text_at(*source, 0, 10), kText);
    EXPECT_EQ(text_at(*source, 3, 4), "3456");
    EXPECT_EQ(text_at(*source, 10, 0), "");
    for (const auto& [offset, size] :
         {std::pair<uint64_t, size_t>{0, 11}, {10, 1}, {11, 0}, {UINT64_MAX, 2}}) {
      std::vector<std::byte> out(size);
      const Status status = source->read_at(offset, out);
      ASSERT_FALSE(status.is_ok()) << offset;
      EXPECT_EQ(status.error().kind, ErrorKind::kCorrupt);
      EXPECT_EQ(status.error().file, source->name());
      EXPECT_EQ(status.error().offset, offset);
    }
    EXPECT_EQ(read_range(*source, UINT64_MAX, UINT64_MAX).error().kind,
              ErrorKind::kCorrupt);  // before memory is taken
  }
}

TEST_F(ByteSources, a_file_that_became_shorter_is_an_error_with_its_place) {
  ASSERT_TRUE(write_text_file(path("a"), std::string(kText)).is_ok());
  const ByteSourcePtr file = open_byte_source(path("a")).value();
  fs::resize_file(path("a"), 6);
  EXPECT_EQ(text_at(*file, 0, 6), "012345");
  std::vector<std::byte> out(7);
  const Status status = file->read_at(2, out);
  ASSERT_FALSE(status.is_ok());
  EXPECT_EQ(status.error().kind, ErrorKind::kIo);
  EXPECT_EQ(status.error().to_string(), path("a") + ": offset 6: the file became shorter while it was read");
}

TEST_F(ByteSources, what_is_no_regular_file_is_refused_at_once) {
  ASSERT_EQ(::mkfifo(path("pipe").c_str(), 0600), 0);  // nobody will ever write to it
  for (const std::string& name : {path("pipe"), folder_, std::string("/dev/null"), path("absent")}) {
    const auto opened = open_byte_source(name);
    ASSERT_FALSE(opened.is_ok()) << name;
    EXPECT_EQ(opened.error().kind, ErrorKind::kIo);
    EXPECT_EQ(opened.error().file, name);
  }
}

TEST_F(ByteSources, the_error_of_a_caller_is_kept) {
  const ByteSourcePtr source = function_byte_source(
      10, "called", [](uint64_t, std::span<std::byte>) { return error(ErrorKind::kInterrupted, "no more"); });
  EXPECT_EQ(text_at(*source, 4, 2), "called: offset 4: no more");
}

TEST_F(ByteSources, pieces_make_the_whole) {
  const uint64_t size = 2 * kPieceBytes + 5;
  const auto read = [](uint64_t offset, std::span<std::byte> out) {
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::byte>((offset + i) * 31 / 7);
    return Status::ok();
  };
  std::vector<std::byte> whole(size), pieces;
  ASSERT_TRUE(read(0, whole).is_ok());
  const auto collect = [&](std::span<const std::byte> piece) {
    pieces.insert(pieces.end(), piece.begin(), piece.end());
    return Status::ok();
  };
  ASSERT_TRUE(visit_pieces(size, 1, read, collect).is_ok());
  EXPECT_TRUE(pieces == whole);
  ASSERT_TRUE(visit_pieces(0, 1, read, collect).is_ok());
  EXPECT_EQ(pieces.size(), size);
}

TEST_F(ByteSources, pieces_cut_no_unit) {
  constexpr uint64_t kUnit = 74;  // does not divide kPieceBytes
  constexpr uint64_t kSize = (kPieceBytes / kUnit + 3) * kUnit;
  std::vector<uint64_t> sizes;
  const auto read = [](uint64_t, std::span<std::byte>) { return Status::ok(); };
  const auto note = [&](std::span<const std::byte> piece) {
    sizes.push_back(piece.size());
    return Status::ok();
  };
  ASSERT_TRUE(visit_pieces(kSize, kUnit, read, note).is_ok());
  EXPECT_EQ(sizes, std::vector<uint64_t>({kPieceBytes / kUnit * kUnit, 3 * kUnit}));
}

}  // namespace
}  // namespace llmcodec
