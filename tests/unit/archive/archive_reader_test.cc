// SPDX-License-Identifier: BSD-3-Clause
#include "archive/archive_reader.h"

#include "../tensor/tensor_test_files.h"
#include "archive/archive_writer.h"
#include "base/error.h"
#include "small_description.h"

namespace llmcodec {
namespace {

constexpr size_t kLarge = 2'000'000;  // several pieces

std::string noise(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * i / 7);
  return bytes;
}

// An archive with one coded and one exact tensor, both large.
class ArchiveReaderTest : public testing::Test {
 protected:
  Status write() {
    LLMC_ASSIGN_OR_RETURN(ArchiveWriter writer,
                          ArchiveWriter::open({{{path_, 4096}}, "", path_ + ".journal", "key", false}));
    TensorRecord record;
    record.dtype = "F32";
    record.shape = {kLarge / 4};
    record.rows = kLarge / 4;
    record.cols = 1;
    record.stages = {{{"stage", "verbatim"}}};
    LLMC_RETURN_IF_ERROR(writer.begin_tensor("coded", 0));
    LLMC_RETURN_IF_ERROR(writer.begin_part("data"));
    LLMC_RETURN_IF_ERROR(writer.append(as_bytes(noise(kLarge))));
    LLMC_RETURN_IF_ERROR(writer.end_part());
    LLMC_RETURN_IF_ERROR(writer.end_tensor(record));
    LLMC_RETURN_IF_ERROR(writer.begin_exact({"exact", Dtype::kU8, {kLarge}}, 0));
    LLMC_RETURN_IF_ERROR(writer.append(as_bytes(noise(kLarge))));
    LLMC_RETURN_IF_ERROR(writer.end_exact());
    return writer.finish(of_one_file());
  }
  void flip_byte(uint64_t offset) {
    std::string bytes = read_bytes(path_);
    bytes[offset] ^= 1;
    write_bytes(path_, bytes);
  }
  TempFolder folder_;
  std::string path_ = folder_.file("a.safetensors");
};

TEST_F(ArchiveReaderTest, parts_and_exact_tensors_whole_and_in_pieces) {
  ASSERT_OK(write());
  const auto archive = ArchiveReader::open(path_);
  ASSERT_OK(archive);
  const std::string expected = noise(kLarge);
  EXPECT_TRUE(std::ranges::equal((*archive)->part("coded", "data").value(), as_bytes(expected)));
  EXPECT_TRUE(std::ranges::equal((*archive)->exact("exact").value(), as_bytes(expected)));
  std::vector<std::byte> part, exact;
  const auto append_to = [](std::vector<std::byte>& all) {
    return [&all](std::span<const std::byte> piece) {
      all.insert(all.end(), piece.begin(), piece.end());
      return Status::ok();
    };
  };
  ASSERT_OK((*archive)->visit_part("coded", "data", append_to(part)));
  ASSERT_OK((*archive)->visit_exact("exact", append_to(exact)));
  EXPECT_TRUE(std::ranges::equal(part, as_bytes(expected)));
  EXPECT_TRUE(part == exact);
  std::vector<std::byte> range(1000);
  ASSERT_OK((*archive)->read_part("coded", "data", 1'234'567, range));
  EXPECT_TRUE(std::ranges::equal(range, as_bytes(expected).subspan(1'234'567, 1000)));
  EXPECT_EQ((*archive)->total_bytes(), std::filesystem::file_size(path_));
}

TEST_F(ArchiveReaderTest, what_is_changed_or_absent_is_named) {
  ASSERT_OK(write());
  flip_byte(4096 + kLarge - 1);
  flip_byte(4096 + 2 * kLarge - 1);
  const auto archive = ArchiveReader::open(path_);
  ASSERT_OK(archive);
  uint64_t seen = 0;
  const PieceVisitor count = [&](std::span<const std::byte> piece) {
    seen += piece.size();
    return Status::ok();
  };
  for (const Status& status :
       {(*archive)->visit_part("coded", "data", count), (*archive)->visit_exact("exact", count),
        Status((*archive)->part("coded", "data").error()), Status((*archive)->exact("exact").error())}) {
    expect_error(status, ErrorKind::kCorrupt, "fails its checksum");
    EXPECT_EQ(status.error().file, path_);
    EXPECT_TRUE(status.error().offset.has_value());
  }
  EXPECT_EQ(seen, 2 * kLarge);
  expect_error((*archive)->part("coded", "bitstream"), ErrorKind::kCorrupt, "needed but absent");
  expect_error((*archive)->exact("coded"), ErrorKind::kCorrupt, "is absent");
}

TEST_F(ArchiveReaderTest, a_visitor_that_fails_ends_the_visit) {
  ASSERT_OK(write());
  const auto archive = ArchiveReader::open(path_);
  ASSERT_OK(archive);
  int visits = 0;
  const Status status = (*archive)->visit_exact("exact", [&](std::span<const std::byte>) {
    ++visits;
    return error(ErrorKind::kIo, "no room");
  });
  expect_error(status, ErrorKind::kIo, "no room");
  EXPECT_EQ(visits, 1);
}

}  // namespace
}  // namespace llmcodec
