// SPDX-License-Identifier: BSD-3-Clause
// Lengths of parts that wrap when they are rounded up, their checksums right.
#include "../unit/archive/small_description.h"
#include "../unit/tensor/tensor_test_files.h"
#include "archive/archive_reader.h"
#include "archive/archive_writer.h"
#include "archive_text.h"

namespace llmcodec {
namespace {

TEST(ArchiveLengths, a_length_near_the_largest_number_is_corrupt) {
  TempFolder folder;
  const std::string path = folder.file("a.safetensors");
  auto writer = ArchiveWriter::open({{{path, 4096}}, "", path + ".journal", "key", false});
  ASSERT_OK(writer);
  ASSERT_OK(writer->begin_tensor("w", 0));
  ASSERT_OK(writer->begin_part("outliers"));  // empty, as a length that wraps to nothing would have it
  ASSERT_OK(writer->end_part());
  TensorRecord record;
  record.dtype = "F32";
  record.shape = {8, 8};
  record.rows = record.cols = 8;
  ASSERT_OK(writer->end_tensor(record));
  ASSERT_OK(writer->finish(of_one_file()));
  ASSERT_OK(ArchiveReader::open(path));
  ArchiveText text = ArchiveText::parse(read_bytes(path));
  text.description["tensors"]["w"]["parts"]["outliers"][0] = UINT64_MAX;
  write_bytes(path, text.with_description_checksum());
  expect_error(ArchiveReader::open(path), ErrorKind::kCorrupt, "another length");
}

}  // namespace
}  // namespace llmcodec
