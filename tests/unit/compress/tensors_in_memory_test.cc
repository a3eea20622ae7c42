// SPDX-License-Identifier: BSD-3-Clause
#include "../restore/small_archive.h"

namespace llmcodec {
namespace {

class TensorsInMemory : public SmallArchive {
 protected:
  void SetUp() override {
    SmallArchive::SetUp();
    for (size_t i = 0; i < small_model().size(); ++i) bytes_.push_back(small_model_bytes(i));
    for (size_t i = 0; i < bytes_.size(); ++i) {
      const TensorInfo info = small_model()[i];
      tensors_.push_back({info.name, dtype_info(info.dtype).name, info.shape, as_bytes(bytes_[i])});
    }
    options_ = options();
    options_.input.clear();
    options_.output = folder_.file("memory.archive");
  }
  std::string refusal(const std::map<std::string, std::string>& metadata = {}) {
    const auto report = compress_tensors(tensors_, metadata, options_);
    if (report.is_ok()) return "";
    EXPECT_EQ(report.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_FALSE(std::filesystem::exists(options_.output));
    return report.error().to_string();
  }

  std::vector<std::string> bytes_;
  std::vector<TensorBytes> tensors_;
  CompressOptions options_;
};

TEST_F(TensorsInMemory, become_the_archive_that_a_file_of_them_becomes) {
  ASSERT_OK(compress_tensors(tensors_, {{"format", "pt"}}, options_));
  DecompressOptions back;
  back.input = options_.output;
  back.output = folder_.file("back.safetensors");
  ASSERT_OK(decompress(back));
  const auto file = SafetensorsFile::open(back.output);
  ASSERT_OK(file);
  EXPECT_EQ((*file)->metadata(), (SafetensorsMetadata{{"format", "pt"}}));
  for (const TensorInfo& info : small_model())
    EXPECT_TRUE(tensor_bytes(**file, (*file)->find(info.name).value()) == restored(info.name)) << info.name;
}

TEST_F(TensorsInMemory, what_does_not_fit_together_is_refused_by_name) {
  tensors_[3].bytes = tensors_[3].bytes.first(100);
  EXPECT_EQ(refusal(), "tensor 'norm': has 100 bytes, and 512 of its shape");
  tensors_[3] = tensors_[4];
  EXPECT_EQ(refusal(), "tensor 'small': is there twice");
  tensors_[3].dtype = "F17";
  EXPECT_EQ(refusal(), "tensor 'small': dtype 'F17' is not known");
  tensors_.pop_back();
  tensors_.pop_back();
  EXPECT_EQ(refusal({{"key", "\xff"}}), "metadata is not valid UTF-8");
}

}  // namespace
}  // namespace llmcodec
