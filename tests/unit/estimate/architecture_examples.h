// SPDX-License-Identifier: BSD-3-Clause
// tests/data/estimate/architectures.txt: tiny models of each family and the inputs of their layers, as transformers
// has them (make_architecture_examples.py).
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <random>
#include <sstream>

#include "../tensor/tensor_test_files.h"
#include "base/error.h"
#include "tensor/safetensors.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

struct Example {
  std::string config;
  std::vector<TensorInfo> tensors;
  std::vector<std::pair<std::string, std::vector<double>>> inputs;
};

inline std::vector<Example> read_examples() {
  std::ifstream file(LLMCODEC_TEST_DATA "/estimate/architectures.txt");
  std::vector<Example> examples;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string kind, name;
    words >> kind;
    if (kind == "model") {
      examples.emplace_back().config = line.substr(6);
      continue;
    }
    words >> name;
    if (kind == "tensor") {
      TensorInfo& tensor = examples.back().tensors.emplace_back(TensorInfo{name, Dtype::kF32, {}});
      for (uint64_t side = 0; words >> side;) tensor.shape.push_back(side);
    } else {
      auto& values = examples.back().inputs.emplace_back(name, std::vector<double>()).second;
      for (double value = 0; words >> value;) values.push_back(value);
    }
  }
  return examples;
}

// draw() of make_architecture_examples.py.
inline std::vector<float> draw(const TensorInfo& tensor, uint32_t seed) {
  const auto has = [&](const char* part) { return tensor.name.find(part) != std::string::npos; };
  std::vector<float> values(tensor.elements(), -100.0F);
  if (has("sinks")) return values;
  const bool convolution = tensor.shape.size() > 2 && (has("patch_embed") || has("conv"));
  if (convolution) return std::vector<float>(values.size());
  if (has("cls_token") || has("projection.bias")) return std::vector<float>(values.size(), 0.25F);
  std::mt19937 random(seed);
  for (float& v : values) v = static_cast<float>(random() >> 8) / static_cast<float>(1 << 23) - 1;
  if (tensor.shape.size() > 1 && (has("embed") || has("wte") || has("wpe"))) {
    const uint64_t width = tensor.shape.back();
    for (size_t i = width; i < values.size(); ++i) values[i] = values[i % width];
  }
  return values;
}

// The example as a folder.
inline Status write_folder(const std::string& folder, const Example& example) {
  write_bytes(folder + "/config.json", example.config);
  LLMC_ASSIGN_OR_RETURN(const auto sink,
                        create_safetensors(folder + "/model.safetensors", example.tensors, {}));
  for (size_t i = 0; i < example.tensors.size(); ++i)
    LLMC_RETURN_IF_ERROR(sink->write(
        i, std::as_bytes(std::span<const float>(draw(example.tensors[i], static_cast<uint32_t>(i + 1))))));
  return sink->finish();
}

// For a test of the suite.
inline std::string name_of(const testing::TestParamInfo<Example>& info) {
  const std::string key = "\"model_type\": \"";
  const std::string& config = info.param.config;
  const size_t begin = config.find(key) + key.size();
  return config.substr(begin, config.find('"', begin) - begin) + "_" + std::to_string(info.index);
}

}  // namespace llmcodec
