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

class SmallArchive : public testing::Test {
 protected:
  void SetUp() override {
    const auto sink = create_safetensors(source_, small_model(), {});
    ASSERT_OK(sink);
    for (size_t i = 0; i < small_model().size(); ++i)
      ASSERT_OK((*sink)->write(i, as_bytes(small_model_bytes(i))));
    ASSERT_OK((*sink)->finish());
    ASSERT_OK(compress(options()));
    DecompressOptions back;
    back.input = archive_;
    back.output = folder_.file("restored.safetensors");
    ASSERT_OK(decompress(back));
    auto restored = SafetensorsFile::open(back.output);
    ASSERT_OK(restored);
    restored_ = std::move(restored).value();
  }
  CompressOptions options() const {
    CompressOptions options;
    options.input = source_;
    options.output = archive_;
    options.target = {TargetKind::kStep, 0.5};
    options.command = "test";
    return options;
  }
  std::string restored(const std::string& name) const {
    return tensor_bytes(*restored_, restored_->find(name).value());
  }

  TempFolder folder_;
  std::string source_ = folder_.file("source.safetensors");
  std::string archive_ = folder_.file("archive.safetensors");
  std::unique_ptr<SafetensorsFile> restored_;
};

}  // namespace llmcodec
