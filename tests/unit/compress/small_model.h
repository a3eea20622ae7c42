// SPDX-License-Identifier: BSD-3-Clause
// A small model for the tests of compression: F32 matrices of Laplacian weights, louder in some rows; tensors of
// other dtypes have any bytes.
#pragma once

#include <cmath>
#include <random>

#include "../tensor/tensor_test_files.h"
#include "compress/compress_state.h"
#include "tensor/safetensors.h"

namespace llmcodec {

inline Status write_small_model(const std::string& path, const std::vector<TensorInfo>& infos) {
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<TensorSink> sink, create_safetensors(path, infos, {}));
  std::mt19937 random(7);
  for (size_t t = 0; t < infos.size(); ++t) {
    std::vector<float> values(2 * infos[t].elements());  // bytes enough for F64
    const uint64_t cols = infos[t].shape.back();
    for (size_t i = 0; i < values.size(); ++i) {
      const float u = (static_cast<float>(random() >> 8) + 1) / static_cast<float>(1 << 24);
      const float sign = random() % 2 != 0 ? 1.0f : -1.0f;
      values[i] = sign * std::log(u) * (1 + static_cast<float>(i / cols % 5));
    }
    const auto bytes = std::as_bytes(std::span(values));
    LLMC_RETURN_IF_ERROR(sink->write(t, bytes.first(*dtype_bytes(infos[t].dtype, infos[t].elements()))));
  }
  return sink->finish();
}

// Two matrices and a norm.
inline std::vector<TensorInfo> small_tensors() {
  return {{"a.weight", Dtype::kF32, {96, 64}},
          {"b.weight", Dtype::kF32, {2, 64, 80}},
          {"norm", Dtype::kF32, {64}}};
}

// Options for `folder`/model.safetensors, which is written.
inline Result<CompressOptions> small_options(const TempFolder& folder,
                                             const std::vector<TensorInfo>& tensors = small_tensors()) {
  CompressOptions options;
  options.input = folder.file("model.safetensors");
  options.output = folder.file("archive.safetensors");
  options.command = "test";
  options.control.threads = 2;
  LLMC_RETURN_IF_ERROR(write_small_model(options.input, tensors));
  return options;
}

inline Result<std::unique_ptr<CompressState>> prepare_small(const CompressOptions& options) {
  LLMC_ASSIGN_OR_RETURN(Model model, open_model(options.input));
  return prepare(std::move(model), options);
}

}  // namespace llmcodec
