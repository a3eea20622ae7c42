// SPDX-License-Identifier: BSD-3-Clause
// The same tiny models as GGUF files, converted as llama.cpp's script does: names, gains of 1 + w, rows of fused
// matrices, transposed ones. The inputs of their layers are those that transformers has for the folders. (Queries and
// keys keep their order of rows: with all tokens alike it changes no input.)
#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "../tensor/tensor_test_files.h"
#include "architecture_examples.h"
#include "estimate/architecture.h"
#include "estimate/moment_estimate.h"
#include "quant/tensor_names.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

using Names = std::map<std::string, std::string>;

std::string gguf_type(const std::string& type) {
  const Names other = {{"gemma3_text", "gemma3"}, {"phi", "phi2"},
                       {"cohere", "command-r"},   {"gpt_neox", "gptneox"},
                       {"gpt_oss", "gpt-oss"},    {"mistral", "llama"},
                       {"roberta", "bert"},       {"modernbert", "modern-bert"}};
  const auto found = other.find(type);
  return found == other.end() ? type : found->second;
}

// Names of norms within a layer.
Names norms_of(const std::string& type) {
  const Names both = {{"input_layernorm", "attn_norm"},
                      {"post_attention_layernorm", "post_attention_norm"},
                      {"pre_feedforward_layernorm", "ffn_norm"},
                      {"post_feedforward_layernorm", "post_ffw_norm"}};
  if (type == "gemma2" || type == "gemma3_text" || type == "olmo2" || type == "gpt_oss") return both;
  if (type == "glm4")
    return {{"input_layernorm", "attn_norm"},
            {"post_self_attn_layernorm", "post_attention_norm"},
            {"post_attention_layernorm", "ffn_norm"},
            {"post_mlp_layernorm", "post_ffw_norm"}};
  if (type == "gpt2") return {{"ln_1", "attn_norm"}, {"ln_2", "ffn_norm"}};
  if (type == "falcon")
    return {{"input_layernorm", "attn_norm"}, {"ln_attn", "attn_norm_2"}, {"ln_mlp", "attn_norm"}};
  if (type == "modernbert") return {{"attn_norm", "attn_norm"}, {"mlp_norm", "ffn_norm"}};
  if (type == "bert" || type == "roberta")
    return {{"attention.output.LayerNorm", "attn_output_norm"}, {"output.LayerNorm", "layer_output_norm"}};
  return {{"input_layernorm", "attn_norm"}, {"post_attention_layernorm", "ffn_norm"}};
}

struct Tensor {
  std::vector<uint64_t> shape;  // outermost first
  std::vector<float> values;
};
using Tensors = std::map<std::string, Tensor>;

std::string converted_name(const std::string& name, const std::string& type) {
  const auto layer = layer_name(name);
  if (layer) {
    if (layer->rest == "self_attn.sinks") return fmt::format("blk.{}.attn_sinks.weight", layer->layer);
    const size_t dot = layer->rest.rfind('.');
    const Names norms = norms_of(type);
    const auto norm = norms.find(layer->rest.substr(0, dot));
    if (norm != norms.end())
      return fmt::format("blk.{}.{}{}", layer->layer, norm->second, layer->rest.substr(dot));
  }
  if (const auto turned = transposed_name(name)) return *turned;
  return gguf_name(name)->name;
}

// Each matrix the other way round.
void transpose(Tensor* tensor) {
  const size_t dims = tensor->shape.size();
  const uint64_t rows = tensor->shape[dims - 2], cols = tensor->shape[dims - 1];
  std::vector<float> turned(tensor->values.size());
  for (size_t i = 0; i < turned.size(); ++i) {
    const size_t matrix = i / (rows * cols), r = i / cols % rows, c = i % cols;
    turned[matrix * rows * cols + c * rows + r] = tensor->values[i];
  }
  std::swap(tensor->shape[dims - 2], tensor->shape[dims - 1]);
  tensor->values = std::move(turned);
}

// Rows of which take(index) says so, in order; a bias is one column.
Tensor rows_where(const Tensor& from, const std::function<bool(uint64_t)>& take, uint64_t rows,
                  uint64_t cols) {
  Tensor to;
  for (uint64_t i = 0; i < from.values.size() / cols; ++i) {
    if (!take(i % rows)) continue;
    const auto row = from.values.begin() + static_cast<std::ptrdiff_t>(i * cols);
    to.values.insert(to.values.end(), row, row + static_cast<std::ptrdiff_t>(cols));
  }
  return to;
}

// From queries, key and value of one head of keys after the other to all queries, all keys, all values.
void sort_fused(uint64_t heads, uint64_t kv_heads, Tensor* tensor) {
  const uint64_t rows = tensor->shape[0], cols = tensor->values.size() / rows;
  const uint64_t width = rows / (heads + 2 * kv_heads), group = rows / kv_heads;
  std::vector<float> sorted;
  for (uint64_t part = 0; part < 3; ++part) {
    const auto here = [&](uint64_t row) {
      const uint64_t in = row % group / width, own = heads / kv_heads;
      return part == (in < own ? 0 : in - own + 1);
    };
    const Tensor rows_of_part = rows_where(*tensor, here, rows, cols);
    sorted.insert(sorted.end(), rows_of_part.values.begin(), rows_of_part.values.end());
  }
  tensor->values = std::move(sorted);
}

// gpt-oss: even rows are gates, odd ones their partners.
void split_gates(Tensors* tensors) {
  for (const std::string kind : {".weight", ".bias"}) {
    for (uint32_t layer = 0; layer < 2; ++layer) {
      const std::string up_name = fmt::format("blk.{}.ffn_up_exps{}", layer, kind);
      const auto at = tensors->find(up_name);
      if (at == tensors->end()) continue;
      const Tensor both = at->second;
      const uint64_t cols = kind == ".bias" ? 1 : both.shape[2], rows = both.shape[1];
      for (uint64_t odd = 0; odd < 2; ++odd) {
        Tensor part = rows_where(
            both, [&](uint64_t r) { return r % 2 == odd; }, rows, cols);
        part.shape = both.shape;
        part.shape[1] /= 2;
        (*tensors)[odd == 1 ? up_name : fmt::format("blk.{}.ffn_gate_exps{}", layer, kind)] = part;
      }
    }
  }
}

Tensors converted(const Example& example, const nlohmann::json& config) {
  const std::string type = config["model_type"];
  Tensors tensors;
  for (size_t i = 0; i < example.tensors.size(); ++i) {
    const TensorInfo& info = example.tensors[i];
    Tensor tensor{info.shape, draw(info, static_cast<uint32_t>(i + 1))};
    if (transposed_name(info.name) && info.name.find("bias") == std::string::npos) transpose(&tensor);
    if (type.starts_with("gemma") && info.name.find("norm") != std::string::npos) {
      for (float& gain : tensor.values) gain += 1;
    }
    if (info.name.find("query_key_value") != std::string::npos) {
      const uint64_t heads = config["num_attention_heads"];
      const bool one = config.value("multi_query", false) && !config.value("new_decoder_architecture", false);
      sort_fused(heads, one ? 1 : config.value("num_kv_heads", heads), &tensor);
    }
    tensors[converted_name(info.name, type)] = std::move(tensor);
  }
  split_gates(&tensors);
  return tensors;
}

// Bytes of a GGUF file.
class Writer {
 public:
  template <class T>
  void number(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(const std::string& value) {
    number(uint64_t{value.size()});
    bytes_ += value;
  }
  template <class T>
  void entry(const std::string& key, uint32_t kind, T value) {
    text(key);
    number(kind);
    if constexpr (std::is_same_v<T, std::string>)
      text(value);
    else
      number(value);
    ++entries_;
  }
  std::string take() { return std::move(bytes_); }
  uint64_t entries() const { return entries_; }
  void align() { bytes_.resize((bytes_.size() + 31) / 32 * 32); }

 private:
  std::string bytes_;
  uint64_t entries_ = 0;
};

Writer settings(const nlohmann::json& config) {
  constexpr uint32_t kUint32 = 4, kFloat32 = 6, kBool = 7, kString = 8;
  Writer out;
  const std::string type = gguf_type(config["model_type"]);
  out.entry("general.architecture", kString, type);
  const auto copy = [&](const char* from, const char* to) {
    const auto at = config.find(from);
    if (at == config.end()) return;
    const std::string key = type + "." + to;
    if (at->is_boolean()) out.entry(key, kBool, static_cast<uint8_t>(at->get<bool>()));
    if (at->is_number_integer()) out.entry(key, kUint32, at->get<uint32_t>());
    if (at->is_number_float()) out.entry(key, kFloat32, at->get<float>());
  };
  for (const char* heads : {"num_attention_heads", "n_head"}) copy(heads, "attention.head_count");
  const bool one = config.value("multi_query", false) && !config.value("new_decoder_architecture", false);
  if (one) out.entry(type + ".attention.head_count_kv", kUint32, uint32_t{1});
  for (const char* heads : {"num_key_value_heads", "num_kv_heads"}) {
    if (!one) copy(heads, "attention.head_count_kv");
  }
  copy("head_dim", "attention.value_length");
  copy("rms_norm_eps", "attention.layer_norm_rms_epsilon");
  for (const char* epsilon : {"layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps"})
    copy(epsilon, "attention.layer_norm_epsilon");
  copy("attention_multiplier", "attention.scale");
  copy("embedding_multiplier", "embedding_scale");
  copy("residual_multiplier", "residual_scale");
  copy("use_parallel_residual", "use_parallel_residual");
  return out;
}

std::string gguf_bytes(const Tensors& tensors, const nlohmann::json& config) {
  Writer values = settings(config), out;
  for (const char letter : {'G', 'G', 'U', 'F'}) out.number(letter);
  out.number(uint32_t{3});
  out.number(uint64_t{tensors.size()});
  out.number(values.entries());
  std::string bytes = out.take() + values.take();
  Writer infos, data;
  uint64_t offset = 0;
  for (const auto& [name, tensor] : tensors) {
    infos.text(name);
    infos.number(static_cast<uint32_t>(tensor.shape.size()));
    for (auto side = tensor.shape.rbegin(); side != tensor.shape.rend(); ++side) infos.number(*side);
    infos.number(uint32_t{0});  // F32
    infos.number(offset);
    for (const float v : tensor.values) data.number(v);
    data.align();
    offset += (tensor.values.size() * sizeof(float) + 31) / 32 * 32;
  }
  bytes += infos.take();
  bytes.resize((bytes.size() + 31) / 32 * 32);
  return bytes + data.take();
}

class GgufArchitectures : public testing::TestWithParam<Example> {};

TEST_P(GgufArchitectures, inputs_are_those_of_transformers) {
  const Example& example = GetParam();
  const nlohmann::json config = nlohmann::json::parse(example.config);
  const std::string type = config["model_type"];
  const TempFolder folder;
  write_bytes(folder.file("model.gguf"), gguf_bytes(converted(example, config), config));
  const auto model = open_model(folder.file("model.gguf"));
  ASSERT_TRUE(model.is_ok()) << model.error().to_string();
  const auto found = estimate_moments(*model, 1, [](uint64_t) { return Status::ok(); });
  ASSERT_TRUE(found.is_ok()) << found.error().to_string();
  ASSERT_TRUE(found->importance) << found->note;
  EXPECT_EQ(found->note, "");
  for (const auto& [name, values] : example.inputs) {
    const auto entry = found->importance->find(converted_name(name, type), values.size());
    ASSERT_TRUE(entry.is_ok() && entry->found()) << name;
    double mean = 0;
    for (const double v : values) mean += v / static_cast<double>(values.size());
    for (size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(entry->moments[i], values[i], 3e-3 * (values[i] + mean)) << name << " input " << i;
  }
}

// Those of which llama.cpp makes GGUF files.
std::vector<Example> gguf_examples() {
  std::vector<Example> examples = read_examples();
  std::erase_if(examples, [](const Example& example) {
    const std::string type = nlohmann::json::parse(example.config)["model_type"];
    return find_architectures(gguf_type(type), true).empty();
  });
  return examples;
}

INSTANTIATE_TEST_SUITE_P(Table, GgufArchitectures, testing::ValuesIn(gguf_examples()), name_of);

}  // namespace
}  // namespace llmcodec
