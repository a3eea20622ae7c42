// SPDX-License-Identifier: BSD-3-Clause
// Descriptions that are right by their checksums and would take memory without limit.
#include "restore/tensor_decoder.h"

#include "../tensor/tensor_test_files.h"
#include "archive/archive_writer.h"

namespace llmcodec {
namespace {

// An archive of one raw tensor of rows x cols weights, with next to no bytes of stream.
Result<std::unique_ptr<ArchiveReader>> hollow_archive(const std::string& path, uint64_t rows, uint64_t cols,
                                                      uint32_t width, uint64_t cuts) {
  TensorRecord record;
  record.dtype = "F32";
  record.shape = {rows, cols};
  record.rows = rows;
  record.cols = cols;
  record.samples = {""};
  record.stages = {
      {{"stage", "scales"}, {"kind", "tensor"}, {"scale", {1.0}}},
      {{"stage", "affine"}, {"step", 0.5}, {"zero", 128}, {"bit_depth", 8}},
      {{"stage", "layout"}, {"kind", "spatial"}, {"picture", {width, cols}}, {"cuts", {cuts, 1}}},
      {{"stage", "codec"},
       {"name", "raw"},
       {"options", "raw"},
       {"codec_version", ""},
       {"stream", "raw"},
       {"quality", 0},
       {"pictures", cuts},
       {"segments", {8}}}};
  LLMC_ASSIGN_OR_RETURN(ArchiveWriter writer,
                        ArchiveWriter::open({{{path, 4096}}, "", path + ".journal", "key", false}));
  LLMC_RETURN_IF_ERROR(writer.begin_tensor("w", 0));
  LLMC_RETURN_IF_ERROR(writer.begin_part("bitstream"));
  LLMC_RETURN_IF_ERROR(writer.append(as_bytes("8 bytes.")));
  LLMC_RETURN_IF_ERROR(writer.end_part());
  LLMC_RETURN_IF_ERROR(writer.end_tensor(record));
  LLMC_RETURN_IF_ERROR(writer.finish({}));
  return ArchiveReader::open(path);
}

TEST(TensorDecoder, blocks_beyond_all_memory_are_refused_before_they_are_taken) {
  TempFolder folder;
  const auto archive = hollow_archive(folder.file("a.safetensors"), 1 << 20, 1 << 16, 1 << 11, 1 << 9);
  ASSERT_OK(archive);
  CodecSet codecs({});
  expect_error(TensorDecoder::open(**archive, "w", codecs, true), ErrorKind::kLimit, "at most");
}

TEST(TensorDecoder, a_stream_that_is_too_short_is_corrupt) {
  TempFolder folder;
  const auto archive = hollow_archive(folder.file("a.safetensors"), 64, 64, 64, 1);
  ASSERT_OK(archive);
  CodecSet codecs({});
  const auto tensor = TensorDecoder::open(**archive, "w", codecs, true);
  ASSERT_OK(tensor);
  expect_error(tensor->decode_samples(tensor->blocks()[0]), ErrorKind::kCorrupt, "");
}

}  // namespace
}  // namespace llmcodec
