// SPDX-License-Identifier: BSD-3-Clause
// Small archives that ask for much memory, their checksums right: each is one error before the memory is taken.
// And sources from which a careless writer would make such an archive.
#include <fmt/format.h>

#include <algorithm>

#include "allocation_guard.h"
#include "archive/packing.h"
#include "archive_cases.h"
#include "archive_text.h"
#include "base/checked_math.h"
#include "base/limits.h"
#include "llmcodec/model.h"
#include "tensor/gguf.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMemory = 64 << 20;  // for any of the small files here

class ArchiveCosts : public testing::Test {
 protected:
  void make(const std::string& kind) {
    auto made = make_archive_case(kind, folder_);
    ASSERT_OK(made);
    archive_ = *made;
    text_ = ArchiveText::parse(read_bytes(archive_.archive));
  }
  Status extract_stream(const std::string& tensor) {
    ExtractOptions options;
    options.input = archive_.archive;
    options.tensor = tensor;
    options.output = folder_.file("extracted");
    return extract(options);
  }
  Status verify_archive() {
    VerifyOptions options;
    options.input = archive_.archive;
    auto report = verify(options);
    return report.is_ok() ? Status::ok() : Status(report.error());
  }
  // All commands that read archives.
  void expect_refused(ErrorKind kind, const std::string& message) {
    const PeakMemory memory;
    expect_error(inspect(archive_.archive), kind, message);
    expect_error(verify_archive(), kind, message);
    expect_error(restored(archive_), kind, message);
    expect_error(extract_stream("a.weight"), kind, message);
    EXPECT_LT(memory.bytes(), kMemory) << message;
    EXPECT_FALSE(fs::exists(archive_.output));
  }

  FastFolder folder_;
  ArchiveCase archive_;
  ArchiveText text_;
};

TEST_F(ArchiveCosts, a_description_that_unpacks_to_far_more_than_its_file_is_refused) {
  make("spectral");
  text_.description["command"] = std::string(100 << 20, 'x');
  write_bytes(archive_.archive, text_.with_description_checksum());
  ASSERT_LT(fs::file_size(archive_.archive), 100'000u);
  expect_refused(ErrorKind::kLimit, "unpacks to");
}

// As many values as the text can hold. Whether they are refused is a matter of the field; what they may cost
// is not.
TEST_F(ArchiveCosts, dense_json_in_any_field_takes_little_memory) {
  make("spectral");
  const std::string damaged = folder_.file("dense.safetensors");
  for (const std::string value : {"{},", R"("",)", R"({"stage":""},)"}) {
    for (const std::string field : {"unknown", "stages", "samples"}) {
      SCOPED_TRACE(field + " " + value);
      ArchiveText dense = text_;
      (field == "unknown" ? dense.description : dense.description["tensors"]["a.weight"])[field] = "HERE";
      std::string text = dense.description.dump();
      std::string list;
      while (text.size() + list.size() + value.size() < kUnpackedBytesOfAnyFile) list += value;
      list.pop_back();
      text.replace(text.find("\"HERE\""), 6, "[" + list + "]");
      write_bytes(damaged, dense.with_description(text));
      const PeakMemory memory;
      const auto report = inspect(damaged);
      EXPECT_LT(memory.bytes(), kMemory);
      if (!report.is_ok()) {
        EXPECT_TRUE(report.error().kind == ErrorKind::kLimit || report.error().kind == ErrorKind::kCorrupt)
            << report.error().to_string();
      }
    }
  }
}

TEST_F(ArchiveCosts, a_gguf_header_that_unpacks_to_far_more_than_its_file_is_refused) {
  make("gguf");
  const std::vector<std::byte> bomb = pack(std::vector<std::byte>(200 << 20));
  std::string bytes(reinterpret_cast<const char*>(bomb.data()), bomb.size());
  bytes.resize(align_up(bytes.size(), 8));
  const auto exact = text_.exact();
  text_.replace(*std::ranges::find(exact, "llmcodec.gguf_header", &ArchiveText::Part::tensor), bytes);
  write_bytes(archive_.archive, text_.with_description_checksum());
  const PeakMemory memory;
  expect_error(verify_archive(), ErrorKind::kLimit, "unpacks to");
  expect_error(restored(archive_), ErrorKind::kLimit, "unpacks to");
  EXPECT_LT(memory.bytes(), kMemory);
}

std::string counted(std::string_view text) {
  return little_endian(text.size(), 8) + std::string(text);
}

// zstd makes nothing of them: the archive is padded until its reader may unpack them.
TEST_F(ArchiveCosts, sources_of_zeros_make_archives_that_are_read) {
  constexpr size_t kZeros = 20 << 20;
  const std::string metadata = folder_.file("metadata.safetensors");
  write_bytes(metadata, safetensors_with(R"({"__metadata__":{"zeros":")" + std::string(kZeros, '0') +
                                             R"("},"v":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}})",
                                         16));
  const std::string gguf = folder_.file("zeros.gguf");
  std::string header = "GGUF" + little_endian(3, 4) + little_endian(1, 8) + little_endian(1, 8) +
                       counted("zeros") + little_endian(8, 4) + counted(std::string(kZeros, '\0')) +
                       counted("v") + little_endian(1, 4) + little_endian(4, 8) + little_endian(0, 4) +
                       little_endian(0, 8);
  header.resize((header.size() + 31) / 32 * 32 + 32);
  write_bytes(gguf, header);
  for (const std::string& source : {metadata, gguf}) {
    CompressOptions options;
    options.input = source;
    options.output = folder_.file("zeros.archive");
    ASSERT_OK(compress(options));
    EXPECT_LE(fs::file_size(options.output), kZeros / kUnpackedBytesPerFileByte + 4096);
    ArchiveCase archive{"zeros", options.output, {options.output}, folder_.file("zeros.restored"), {}};
    const auto back = restored(archive);
    ASSERT_OK(back);
    EXPECT_GT(back->size(), kZeros);
    fs::remove(options.output);
  }
}

// A line of the description each, and the work of a whole tensor.
TEST_F(ArchiveCosts, copies_without_end_of_a_tensor_that_took_no_room) {
  CompressOptions options;
  options.input = folder_.file("flat.safetensors");
  options.output = folder_.file("flat.archive");
  options.target = {TargetKind::kStep, 1};
  write_bytes(
      options.input,
      safetensors_with(R"({"w":{"dtype":"F16","shape":[2048,2048],"data_offsets":[0,8388608]}})", 8 << 20));
  ASSERT_OK(compress(options));
  ArchiveText text = ArchiveText::parse(read_bytes(options.output));
  const auto with_copies = [&](int count) {
    for (int i = 0; i < count; ++i)
      text.description["same_as"]["copy" + std::to_string(i)] = {"F16", {2048, 2048}, "w"};
    write_bytes(options.output, text.with_description_checksum());
    return inspect(options.output);
  };
  ASSERT_OK(with_copies(3));
  expect_error(with_copies(4000), ErrorKind::kLimit, "copies of tensors have over");
}

// Each is coded, and each encoder takes 700 KB: they must not all be there at once.
TEST_F(ArchiveCosts, many_tiny_tensors_take_memory_in_proportion) {
  constexpr size_t kTensors = 500, kBytes = 8 * 8 * sizeof(float);
  std::string header = "{";
  for (size_t i = 0; i < kTensors; ++i)
    header += fmt::format(R"({}"{}":{{"dtype":"F32","shape":[8,8],"data_offsets":[{},{}]}})",
                          i > 0 ? "," : "", i, i * kBytes, (i + 1) * kBytes);
  CompressOptions options;
  options.input = folder_.file("tiny.safetensors");
  options.output = folder_.file("tiny.archive");
  options.set = {".=action:code"};
  options.target = {TargetKind::kStep, 0.5};
  options.control.threads = 2;
  write_bytes(options.input, safetensors_with(header + "}", kTensors * kBytes));
  const PeakMemory memory;
  const auto report = compress(options);
  ASSERT_OK(report);
  EXPECT_TRUE(std::ranges::all_of(report->tensors, &TensorReport::coded));
  archive_ = {"tiny", options.output, {options.output}, folder_.file("tiny.restored"), {}};
  ASSERT_OK(verify_archive());
  ASSERT_OK(restored(archive_));
  EXPECT_LT(memory.bytes(), kMemory + 8 * fs::file_size(options.output));
}

}  // namespace
}  // namespace llmcodec
