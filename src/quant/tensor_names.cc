// SPDX-License-Identifier: BSD-3-Clause
#include "quant/tensor_names.h"

#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>

namespace llmcodec {
namespace {

struct NamePair {
  std::string_view gguf, hf;
};

// Outside the layers; ".weight" or ".bias" follows.
constexpr std::array kGlobal = {
    NamePair{"token_embd", "model.embed_tokens"},
    NamePair{"output", "lm_head"},
    NamePair{"output_norm", "model.norm"},
    NamePair{"token_embd", "model.language_model.embed_tokens"},
    NamePair{"output_norm", "model.language_model.norm"},
    NamePair{"token_embd", "language_model.model.embed_tokens"},
    NamePair{"output", "language_model.lm_head"},
    NamePair{"output_norm", "language_model.model.norm"},
    NamePair{"output_norm", "model.final_layernorm"},
    NamePair{"token_embd", "transformer.wte"},
    NamePair{"token_embd", "wte"},
    NamePair{"position_embd", "transformer.wpe"},
    NamePair{"position_embd", "wpe"},
    NamePair{"token_embd", "transformer.word_embeddings"},
    NamePair{"output_norm", "transformer.ln_f"},
    NamePair{"output_norm", "ln_f"},
    NamePair{"token_embd", "gpt_neox.embed_in"},
    NamePair{"output_norm", "gpt_neox.final_layer_norm"},
    NamePair{"output", "embed_out"},
    NamePair{"token_embd", "embeddings.word_embeddings"},
    NamePair{"position_embd", "embeddings.position_embeddings"},
    NamePair{"token_types", "embeddings.token_type_embeddings"},
    NamePair{"token_embd_norm", "embeddings.LayerNorm"},
};

// What encoders that were saved with a head have before every name.
constexpr std::array<std::string_view, 3> kEncoders = {"bert.", "roberta.", "mpnet."};

// What comes before the number of a layer in Hugging Face folders; in GGUF files it is "blk.".
constexpr std::array<std::string_view, 7> kLayers = {"model.layers.",
                                                     "model.language_model.layers.",
                                                     "language_model.model.layers.",
                                                     "transformer.h.",
                                                     "h.",
                                                     "gpt_neox.layers.",
                                                     "encoder.layer."};

// Inside layer N; ".weight" or ".bias" follows.
constexpr std::array kLayer = {
    NamePair{"attn_q", "self_attn.q_proj"},
    NamePair{"attn_k", "self_attn.k_proj"},
    NamePair{"attn_v", "self_attn.v_proj"},
    NamePair{"attn_qkv", "self_attn.qkv_proj"},
    NamePair{"attn_output", "self_attn.o_proj"},
    NamePair{"attn_q_norm", "self_attn.q_norm"},
    NamePair{"attn_k_norm", "self_attn.k_norm"},
    NamePair{"attn_norm", "input_layernorm"},
    NamePair{"ffn_norm", "post_attention_layernorm"},
    NamePair{"ffn_gate", "mlp.gate_proj"},
    NamePair{"ffn_up", "mlp.up_proj"},
    NamePair{"ffn_up", "mlp.gate_up_proj"},
    NamePair{"ffn_down", "mlp.down_proj"},
    NamePair{"ffn_gate_inp", "mlp.gate"},
    NamePair{"ffn_gate_inp", "block_sparse_moe.gate"},
    NamePair{"ffn_gate_shexp", "mlp.shared_expert.gate_proj"},
    NamePair{"ffn_up_shexp", "mlp.shared_expert.up_proj"},
    NamePair{"ffn_down_shexp", "mlp.shared_expert.down_proj"},
    NamePair{"ffn_gate_inp_shexp", "mlp.shared_expert_gate"},
    // gpt-oss
    NamePair{"ffn_gate_inp", "mlp.router"},
    // Phi 2, StarCoder 2
    NamePair{"attn_output", "self_attn.dense"},
    NamePair{"attn_q_norm", "self_attn.q_layernorm"},
    NamePair{"attn_k_norm", "self_attn.k_layernorm"},
    NamePair{"ffn_up", "mlp.fc1"},
    NamePair{"ffn_down", "mlp.fc2"},
    NamePair{"ffn_up", "mlp.c_fc"},
    NamePair{"ffn_down", "mlp.c_proj"},
    // Falcon, GPT-NeoX
    NamePair{"attn_qkv", "self_attention.query_key_value"},
    NamePair{"attn_output", "self_attention.dense"},
    NamePair{"attn_qkv", "attention.query_key_value"},
    NamePair{"attn_output", "attention.dense"},
    NamePair{"ffn_up", "mlp.dense_h_to_4h"},
    NamePair{"ffn_down", "mlp.dense_4h_to_h"},
    // BERT, MPNet
    NamePair{"attn_q", "attention.self.query"},
    NamePair{"attn_k", "attention.self.key"},
    NamePair{"attn_v", "attention.self.value"},
    NamePair{"attn_output", "attention.output.dense"},
    NamePair{"attn_q", "attention.attn.q"},
    NamePair{"attn_k", "attention.attn.k"},
    NamePair{"attn_v", "attention.attn.v"},
    NamePair{"attn_output", "attention.attn.o"},
    NamePair{"ffn_up", "intermediate.dense"},
    NamePair{"ffn_down", "output.dense"},
};

// Of GPT-2, whose matrices are stored as inputs x outputs; "transformer.h.N." or "h.N." comes before.
constexpr std::array kConv1d = {
    NamePair{"attn_qkv", "attn.c_attn"},
    NamePair{"attn_output", "attn.c_proj"},
    NamePair{"ffn_up", "mlp.c_fc"},
    NamePair{"ffn_down", "mlp.c_proj"},
};

// Of gpt-oss, stored likewise, all experts in one tensor; its gates are among the rows of ffn_up.
constexpr std::array kStackedExperts = {
    NamePair{"ffn_up_exps.weight", "mlp.experts.gate_up_proj"},
    NamePair{"ffn_up_exps.bias", "mlp.experts.gate_up_proj_bias"},
    NamePair{"ffn_down_exps.weight", "mlp.experts.down_proj"},
    NamePair{"ffn_down_exps.bias", "mlp.experts.down_proj_bias"},
};

// Inside expert E of layer N: "mlp.experts.E." or "block_sparse_moe.experts.E.".
constexpr std::array kExpert = {
    NamePair{"ffn_gate_exps", "gate_proj"}, NamePair{"ffn_up_exps", "up_proj"},
    NamePair{"ffn_down_exps", "down_proj"}, NamePair{"ffn_gate_exps", "w1"},
    NamePair{"ffn_up_exps", "w3"},          NamePair{"ffn_down_exps", "w2"},
};
constexpr std::array<std::string_view, 2> kExpertPrefixes = {"mlp.experts.", "block_sparse_moe.experts."};

bool take_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// Takes "123." off the front.
std::optional<uint32_t> take_number(std::string_view& text) {
  uint32_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  const size_t digits = static_cast<size_t>(end - text.data());
  if (failure != std::errc() || digits >= text.size() || text[digits] != '.') return std::nullopt;
  if (digits > 1 && text[0] == '0') return std::nullopt;  // "01" is not how anyone counts layers
  text.remove_prefix(digits + 1);
  return value;
}

// "x.y.weight" -> "x.y" and ".weight"; nullopt without a known suffix.
std::optional<std::pair<std::string_view, std::string_view>> split_suffix(std::string_view name) {
  for (std::string_view suffix : {".weight", ".bias"}) {
    if (name.size() > suffix.size() && name.ends_with(suffix)) {
      return std::pair{name.substr(0, name.size() - suffix.size()), suffix};
    }
  }
  return std::nullopt;
}

template <size_t kSize>
std::optional<std::string_view> look_up(const std::array<NamePair, kSize>& table, std::string_view name,
                                        std::string_view NamePair::*from, std::string_view NamePair::*to) {
  for (const NamePair& pair : table) {
    if (pair.*from == name) return pair.*to;
  }
  return std::nullopt;
}

std::optional<GgufName> gguf_name_of_expert(std::string_view stem, std::string_view suffix, uint32_t layer) {
  for (std::string_view prefix : kExpertPrefixes) {
    std::string_view rest = stem;
    if (!take_prefix(rest, prefix)) continue;
    const auto expert = take_number(rest);
    if (!expert) return std::nullopt;
    const auto name = look_up(kExpert, rest, &NamePair::hf, &NamePair::gguf);
    if (!name) return std::nullopt;
    return GgufName{fmt::format("blk.{}.{}{}", layer, *name, suffix), expert};
  }
  return std::nullopt;
}

bool has_conv1d(std::string_view name) {
  return name.starts_with("transformer.h.") || name.starts_with("h.");
}

std::string_view without_encoder(std::string_view name) {
  for (const std::string_view prefix : kEncoders) {
    if (take_prefix(name, prefix)) break;
  }
  return name;
}

}  // namespace

std::optional<LayerName> layer_name(std::string_view name) {
  if (take_prefix(name, "blk.")) {
    const auto layer = take_number(name);
    return layer ? std::optional(LayerName{*layer, std::string(name)}) : std::nullopt;
  }
  name = without_encoder(name);
  for (const std::string_view prefix : kLayers) {
    if (!take_prefix(name, prefix)) continue;
    const auto layer = take_number(name);
    return layer ? std::optional(LayerName{*layer, std::string(name)}) : std::nullopt;
  }
  return std::nullopt;
}

std::optional<GgufName> gguf_name(std::string_view name) {
  const auto parts = split_suffix(name);
  if (!parts) return std::nullopt;
  const auto [stem, suffix] = *parts;
  if (look_up(kGlobal, stem, &NamePair::gguf, &NamePair::hf))
    return GgufName{std::string(name), std::nullopt};
  if (const auto global = look_up(kGlobal, without_encoder(stem), &NamePair::hf, &NamePair::gguf)) {
    return GgufName{fmt::format("{}{}", *global, suffix), std::nullopt};
  }
  const auto layer = layer_name(name);
  if (!layer) return std::nullopt;
  if (name.starts_with("blk.")) return GgufName{std::string(name), std::nullopt};
  const std::string_view inner(layer->rest.data(), layer->rest.size() - suffix.size());
  if (has_conv1d(name) && look_up(kConv1d, inner, &NamePair::hf, &NamePair::gguf)) return std::nullopt;
  if (const auto mapped = look_up(kLayer, inner, &NamePair::hf, &NamePair::gguf)) {
    return GgufName{fmt::format("blk.{}.{}{}", layer->layer, *mapped, suffix), std::nullopt};
  }
  return gguf_name_of_expert(inner, suffix, layer->layer);
}

std::optional<std::string> transposed_name(std::string_view name) {
  const auto layer = layer_name(name);
  if (!layer) return std::nullopt;
  if (const auto stacked = look_up(kStackedExperts, layer->rest, &NamePair::hf, &NamePair::gguf))
    return fmt::format("blk.{}.{}", layer->layer, *stacked);
  const auto parts = split_suffix(layer->rest);
  if (!parts || !has_conv1d(name)) return std::nullopt;
  const auto mapped = look_up(kConv1d, parts->first, &NamePair::hf, &NamePair::gguf);
  if (!mapped) return std::nullopt;
  return fmt::format("blk.{}.{}{}", layer->layer, *mapped, parts->second);
}

std::optional<GgufName> gguf_name_in_folder(std::string_view name) {
  const size_t folder = name.rfind('/') + 1;  // 0 where there is none
  auto gguf = gguf_name(name.substr(folder));
  if (gguf) gguf->name.insert(0, name.substr(0, folder));
  return gguf;
}

}  // namespace llmcodec
