// SPDX-License-Identifier: BSD-3-Clause
// A small model of every kind of tensor, its archive, and what decompress() makes of it.
#pragma once

#include <cmath>
#include <random>

#include "../tensor/tensor_test_files.h"
#include "llmcodec/model.h"
#include "tensor/safetensors.h"

namespace llmcodec {

inline std::vector<TensorInfo> small_model() {
  return {{"coded", Dtype::kF32, {2400, 512}},  // several pictures
          {"experts", Dtype::kBF16, {3, 64, 96}},
          {"ids", Dtype::kI64, {4, 8}},
          {"norm", Dtype::kF32, {128}},
          {"small", Dtype::kF16, {16, 24}}};  // a matrix that is stored exactly
}

// The bytes of tensor `index`, the same each time.
inline std::string small_model_bytes(size_t index) {
  const TensorInfo info = small_model()[index];
  std::string bytes(dtype_bytes(info.dtype, info.elements()).value(), '\0');
  std::mt19937 random(static_cast<unsigned>(index));
  if (!dtype_info(info.dtype).floating) {
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
  }
  std::vector<float> values(info.elements());
  for (float& value : values) value = std::normal_distribution<float>()(random);
  EXPECT_EQ(message_of(from_f32(info.dtype, values, std::as_writable_bytes(std::span(bytes)))), "");
  return bytes;
}

// The files, made once for all tests of a program: tests read them and write to folders of their own.
struct SmallArchiveFiles {
  TempFolder folder;
  std::string source = folder.file("source.safetensors");
  std::string archive = folder.file("archive.safetensors");
  std::string restored = folder.file("restored.safetensors");

  CompressOptions options() const {
    CompressOptions options;
    options.input = source;
    options.output = archive;
    options.target = {TargetKind::kStep, 0.5};
    options.command = "test";
    return options;
  }
  Status make() const {
    LLMC_ASSIGN_OR_RETURN(const auto sink, create_safetensors(source, small_model(), {}));
    for (size_t i = 0; i < small_model().size(); ++i)
      LLMC_RETURN_IF_ERROR(sink->write(i, as_bytes(small_model_bytes(i))));
    LLMC_RETURN_IF_ERROR(sink->finish());
    LLMC_ASSIGN_OR_RETURN(const auto report, compress(options()));
    DecompressOptions back;
    back.input = archive;
    back.output = restored;
    LLMC_ASSIGN_OR_RETURN(const auto back_report, decompress(back));
    return Status::ok();
  }
  static const SmallArchiveFiles& get() {
    static const SmallArchiveFiles files;
    return files;
  }
};

class SmallArchive : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    static const Status made = SmallArchiveFiles::get().make();
    ASSERT_OK(made);
  }
  void SetUp() override {
    auto restored = SafetensorsFile::open(SmallArchiveFiles::get().restored);
    ASSERT_OK(restored);
    restored_ = std::move(restored).value();
  }
  CompressOptions options() const { return SmallArchiveFiles::get().options(); }
  std::string restored(const std::string& name) const {
    return tensor_bytes(*restored_, restored_->find(name).value());
  }

  TempFolder folder_;
  const std::string source_ = SmallArchiveFiles::get().source, archive_ = SmallArchiveFiles::get().archive;
  std::unique_ptr<SafetensorsFile> restored_;
};

}  // namespace llmcodec
