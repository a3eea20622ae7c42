// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/llama_graph.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/limits.h"
#include "quant/tensor_names.h"
#include "tensor/json_text.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

// general.architecture of GGUF files and model_type of config.json.
constexpr std::array<std::string_view, 11> kTypes = {"llama",    "mistral",   "mistral3", "mixtral",
                                                     "qwen2",    "qwen3",     "smollm3",  "qwen2moe",
                                                     "qwen3moe", "qwen2_moe", "qwen3_moe"};
// Their presence means that a layer does more than this graph knows.
constexpr std::array<std::string_view, 5> kForeign = {"post_attention_norm", "post_ffw_norm", "ffn_post_norm",
                                                      "attn_sub_norm", "attn_qkv"};

struct Heads {
  std::string type;
  int64_t heads = 0, kv_heads = 0, head_width = 0;  // 0: not said
};

Heads heads_of(const GgufHeader& header) {
  Heads found;
  found.type = header.find_string("general.architecture").value_or("");
  const std::string prefix = found.type + ".attention.";
  found.heads = header.find_int(prefix + "head_count").value_or(0);
  found.kv_heads = header.find_int(prefix + "head_count_kv").value_or(found.heads);
  found.head_width = header.find_int(prefix + "value_length").value_or(0);
  return found;
}

Result<Heads> heads_of_config(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(const std::string text, read_text_file(path, kMaxJsonBytes));
  auto parsed = parse_json_value<nlohmann::json>(text);
  if (!parsed.is_ok()) return std::move(parsed).error().in_file(path);
  const nlohmann::json& config = *parsed;
  if (!config.is_object()) return error(ErrorKind::kCorrupt, "not a JSON object").in_file(path);
  const auto number = [&](const char* key) {
    const auto at = config.find(key);
    return at != config.end() && at->is_number_integer() ? at->get<int64_t>() : 0;
  };
  Heads found;
  if (const auto type = config.find("model_type"); type != config.end() && type->is_string())
    found.type = type->get<std::string>();
  found.heads = number("num_attention_heads");
  found.kv_heads = number("num_key_value_heads");
  if (found.kv_heads == 0) found.kv_heads = found.heads;
  found.head_width = number("head_dim");
  return found;
}

Result<Heads> heads_of(const Model& model) {
  if (model.gguf != nullptr) return heads_of(*model.gguf);
  const auto config = std::filesystem::path(model.path) / "config.json";
  std::error_code code;  // set where it is there but cannot be looked at: reading it says why
  if (model.kind != ModelKind::kFolder || (!std::filesystem::exists(config, code) && !code)) return Heads{};
  return heads_of_config(config.string());
}

// Tensors by their name in GGUF's spelling; experts that are tensors of their own by "name#expert".
class Names {
 public:
  explicit Names(const TensorSource& source) : source_(source) {
    for (size_t i = 0; i < source.tensors().size(); ++i) {
      const auto name = gguf_name(source.tensors()[i].name);
      if (!name) continue;
      const std::string key = name->expert ? fmt::format("{}#{}", name->name, *name->expert) : name->name;
      index_.emplace(key, i);
    }
  }
  std::optional<size_t> find(const std::string& name) const {
    const auto at = index_.find(name);
    return at == index_.end() ? std::nullopt : std::optional(at->second);
  }
  // A matrix of the given size.
  std::optional<MatrixRef> matrix(const std::string& name, uint64_t rows, uint64_t cols) const {
    const auto index = find(name);
    if (!index) return std::nullopt;
    const auto shape = tensor_matrices(source_.tensors()[*index]);
    if (!shape || shape->rows != rows || shape->cols != cols) return std::nullopt;
    return MatrixRef{*index, 0};
  }
  std::optional<size_t> vector(const std::string& name, uint64_t size) const {
    const auto index = find(name);
    if (!index || source_.tensors()[*index].elements() != size) return std::nullopt;
    return index;
  }
  std::optional<MatrixShape> shape(const std::string& name) const {
    const auto index = find(name);
    return index ? tensor_matrices(source_.tensors()[*index]) : std::nullopt;
  }

 private:
  const TensorSource& source_;
  std::map<std::string, size_t> index_;
};

std::optional<GatedFeedForward> feed_forward(const Names& names, const std::string& layer,
                                             const std::string& suffix, uint64_t width) {
  const auto up = names.shape(layer + "ffn_up" + suffix);
  if (!up) return std::nullopt;
  const auto gate_at = names.matrix(layer + "ffn_gate" + suffix, up->rows, width);
  const auto up_at = names.matrix(layer + "ffn_up" + suffix, up->rows, width);
  const auto down_at = names.matrix(layer + "ffn_down" + suffix, width, up->rows);
  if (!gate_at || !up_at || !down_at) return std::nullopt;
  return GatedFeedForward{*gate_at, *up_at, *down_at};
}

// Stacked in one tensor of three dimensions, or a tensor each.
std::vector<GatedFeedForward> experts_of(const Names& names, const std::string& layer, uint64_t width,
                                         uint64_t count) {
  std::vector<GatedFeedForward> experts;
  const auto stacked = feed_forward(names, layer, "_exps.weight", width);
  for (uint64_t e = 0; e < count; ++e) {
    auto expert = stacked ? stacked : feed_forward(names, layer, fmt::format("_exps.weight#{}", e), width);
    if (!expert) return {};
    if (stacked) expert->gate.matrix = expert->up.matrix = expert->down.matrix = e;
    experts.push_back(*expert);
  }
  return experts;
}

std::optional<LlamaLayer> find_layer(const Names& names, const LlamaGraph& graph, size_t number) {
  const std::string prefix = fmt::format("blk.{}.", number);
  const uint64_t width = graph.width, kv_width = graph.kv_heads * graph.head_width;
  for (const std::string_view foreign : kForeign) {
    if (names.find(fmt::format("{}{}.weight", prefix, foreign))) return std::nullopt;
  }
  LlamaLayer layer;
  const auto attention_norm = names.vector(prefix + "attn_norm.weight", width);
  const auto norm = names.vector(prefix + "ffn_norm.weight", width);
  const auto value = names.matrix(prefix + "attn_v.weight", kv_width, width);
  const auto output = names.matrix(prefix + "attn_output.weight", width, graph.heads * graph.head_width);
  if (!attention_norm || !norm || !value || !output) return std::nullopt;
  for (const char* reader : {"attn_q", "attn_k", "attn_v"}) {
    const auto index = names.find(fmt::format("{}{}.weight", prefix, reader));
    if (!index) return std::nullopt;
    layer.attention_inputs.push_back(*index);
  }
  layer.attention_norm = *attention_norm;
  layer.feed_forward_norm = *norm;
  layer.value = *value;
  layer.output = *output;
  if (!names.find(prefix + "attn_q_norm.weight") && !names.find(prefix + "attn_k_norm.weight")) {
    layer.query = names.matrix(prefix + "attn_q.weight", graph.heads * graph.head_width, width);
    layer.key = names.matrix(prefix + "attn_k.weight", kv_width, width);
  }
  layer.query_bias = names.vector(prefix + "attn_q.bias", graph.heads * graph.head_width);
  layer.value_bias = names.vector(prefix + "attn_v.bias", kv_width);
  layer.shared = feed_forward(names, prefix, "_shexp.weight", width);
  if (const auto router = names.shape(prefix + "ffn_gate_inp.weight")) {
    layer.router = names.matrix(prefix + "ffn_gate_inp.weight", router->rows, width);
    layer.experts = experts_of(names, prefix, width, router->rows);
  } else if (const auto dense = feed_forward(names, prefix, ".weight", width)) {
    layer.experts = {*dense};
  }
  return layer.experts.empty() ? std::nullopt : std::optional(layer);
}

LlamaSearch failed(std::string why) {
  return {std::nullopt, std::move(why)};
}

}  // namespace

Result<LlamaSearch> find_llama_graph(const Model& model) {
  LLMC_ASSIGN_OR_RETURN(const Heads heads, heads_of(model));
  if (heads.type.empty()) return failed("the model does not say of which type it is");
  if (std::ranges::find(kTypes, heads.type) == kTypes.end())
    return failed(fmt::format("models of type '{}' are not known here", heads.type));
  const Names names(*model.source);
  const auto embedding = names.shape("token_embd.weight");
  if (!embedding || embedding->matrices != 1 || heads.heads <= 0 || heads.kv_heads <= 0 ||
      heads.heads % heads.kv_heads != 0)
    return failed("no token embedding, or no heads");
  LlamaGraph graph;
  graph.width = embedding->cols;
  graph.tokens = embedding->rows;
  graph.embedding = *names.find("token_embd.weight");
  graph.heads = static_cast<uint64_t>(heads.heads);
  graph.kv_heads = static_cast<uint64_t>(heads.kv_heads);
  graph.head_width =
      heads.head_width > 0 ? static_cast<uint64_t>(heads.head_width) : graph.width / graph.heads;
  const auto final_norm = names.vector("output_norm.weight", graph.width);
  if (!final_norm) return failed("no final norm");
  graph.final_norm = *final_norm;
  graph.head = names.find("output.weight").value_or(graph.embedding);
  for (size_t n = 0; names.find(fmt::format("blk.{}.attn_norm.weight", n)); ++n) {
    const auto layer = find_layer(names, graph, n);
    if (!layer) return failed(fmt::format("layer {} is not built like Llama's", n));
    graph.layers.push_back(*layer);
  }
  if (graph.layers.empty()) return failed("no layers");
  return LlamaSearch{std::move(graph), {}};
}

}  // namespace llmcodec
