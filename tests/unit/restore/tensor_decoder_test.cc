// SPDX-License-Identifier: BSD-3-Clause
// Descriptions that are right by their checksums and would take memory without limit.
#include "restore/tensor_decoder.h"

#include "../archive/small_description.h"
#include "../tensor/tensor_test_files.h"
#include "archive/archive_writer.h"
#include "archive/packing.h"
#include "base/limits.h"

namespace llmcodec {
namespace {

struct Hollow {
  uint64_t rows, cols;
  uint32_t width;  // of a picture, which has all columns
  uint64_t cuts;
  const char* format;  // of the stream
  size_t bytes;        // of the stream, zeros in one segment
  uint64_t outliers = 0;
};

// An archive of one tensor that has nothing but zeros in all parts.
Result<std::unique_ptr<ArchiveReader>> hollow_archive(const std::string& path, const Hollow& hollow) {
  const auto& [rows, cols, width, cuts, format, bytes, outliers] = hollow;
  TensorRecord record;
  record.dtype = "F32";
  record.shape = {rows, cols};
  record.rows = rows;
  record.cols = cols;
  record.samples = {""};
  record.outliers = outliers;
  record.stages = {
      {{"stage", "scales"}, {"kind", "tensor"}, {"scale", {1.0}}},
      {{"stage", "affine"}, {"step", 0.5}, {"zero", 128}, {"bit_depth", 8}},
      {{"stage", "layout"}, {"kind", "spatial"}, {"picture", {width, cols}}, {"cuts", {cuts, 1}}},
      {{"stage", "codec"},
       {"name", "raw"},
       {"options", "raw"},
       {"codec_version", ""},
       {"stream", format},
       {"quality", 0},
       {"pictures", cuts},
       {"segments", {bytes}}}};
  LLMC_ASSIGN_OR_RETURN(ArchiveWriter writer,
                        ArchiveWriter::open({{{path, 4096}}, "", path + ".journal", "key", false}));
  LLMC_RETURN_IF_ERROR(writer.begin_tensor("w", 0));
  LLMC_RETURN_IF_ERROR(writer.begin_part("bitstream"));
  LLMC_RETURN_IF_ERROR(writer.append(std::vector<std::byte>(bytes)));
  LLMC_RETURN_IF_ERROR(writer.end_part());
  if (outliers > 0) {
    LLMC_RETURN_IF_ERROR(writer.begin_part("outliers"));
    LLMC_RETURN_IF_ERROR(writer.append(pack(std::vector<std::byte>(outliers * 8))));
    LLMC_RETURN_IF_ERROR(writer.end_part());
  }
  LLMC_RETURN_IF_ERROR(writer.end_tensor(record));
  LLMC_RETURN_IF_ERROR(writer.finish(of_one_file()));
  return ArchiveReader::open(path);
}

TEST(TensorDecoder, blocks_beyond_all_memory_are_refused_before_they_are_taken) {
  TempFolder folder;
  const auto archive = hollow_archive(
      folder.file("a.safetensors"),
      {1 << 20, 1 << 16, 1 << 11, 1 << 9, "h266", (size_t{1} << 36) / kMaxSamplesPerStreamByte});
  ASSERT_OK(archive);
  CodecSet codecs({});
  expect_error(TensorDecoder::open(**archive, "w", codecs, true), ErrorKind::kLimit, "at most");
}

TEST(TensorDecoder, a_stream_that_is_too_short_is_corrupt) {
  TempFolder folder;
  const auto archive = hollow_archive(folder.file("a.safetensors"), {64, 64, 64, 1, "raw", 64 * 64 - 1});
  ASSERT_OK(archive);
  CodecSet codecs({});
  expect_error(TensorDecoder::open(**archive, "w", codecs, true), ErrorKind::kCorrupt, "4096 at least");
}

TEST(TensorDecoder, outliers_that_unpack_to_far_more_than_the_file_are_refused) {
  TempFolder folder;
  constexpr uint64_t kSide = 1 << 14;
  const auto archive =
      hollow_archive(folder.file("a.safetensors"),
                     {kSide, kSide, kSide / 2, 2, "h266", kSide * kSide / kMaxSamplesPerStreamByte, 1 << 24});
  ASSERT_OK(archive);
  CodecSet codecs({});
  expect_error(TensorDecoder::open(**archive, "w", codecs, true), ErrorKind::kLimit, "unpacks to 134217728");
}

}  // namespace
}  // namespace llmcodec
