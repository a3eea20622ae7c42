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
    NamePair{"token_embd", "embed_tokens"},  // of a model saved without its head
    NamePair{"output", "lm_head"},
    NamePair{"output_norm", "model.norm"},
    NamePair{"output_norm", "norm"},
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
    // ModernBERT
    NamePair{"token_embd", "model.embeddings.tok_embeddings"},
    NamePair{"token_embd", "embeddings.tok_embeddings"},
    NamePair{"token_embd_norm", "model.embeddings.norm"},
    NamePair{"token_embd_norm", "embeddings.norm"},
    NamePair{"output_norm", "model.final_norm"},
    NamePair{"output_norm", "final_norm"},
    // ViT, SigLIP
    NamePair{"patch_embd", "embeddings.patch_embeddings.projection"},
    NamePair{"patch_embd", "embeddings.patch_embedding"},
    NamePair{"token_embd", "embeddings.token_embedding"},
    NamePair{"position_embd", "embeddings.position_embedding"},
    NamePair{"output_norm", "layernorm"},
    NamePair{"output_norm", "post_layernorm"},
    NamePair{"output_norm", "final_layer_norm"},
    // What reads the output of an encoder's layers, and what stands behind that.
    NamePair{"cls", "head.dense"},
    NamePair{"cls", "pooler.dense"},
    NamePair{"cls", "projector"},
    NamePair{"cls.output", "classifier"},
    // SigLIP's head that pools
    NamePair{"pool.attn_output", "head.attention.out_proj"},
    NamePair{"pool.norm", "head.layernorm"},
    NamePair{"pool.ffn_up", "head.mlp.fc1"},
    NamePair{"pool.ffn_down", "head.mlp.fc2"},
    // Whisper's encoder alone
    NamePair{"conv1", "encoder.conv1"},
    NamePair{"conv2", "encoder.conv2"},
    NamePair{"position_embd", "encoder.embed_positions"},
    NamePair{"output_norm", "encoder.layer_norm"},
};

// Outside the layers, of stacks alone.
constexpr std::array kInStack = {
    NamePair{"position_embd", "embed_positions"},
    NamePair{"output_norm", "layer_norm"},
    NamePair{"conv1", "conv1"},
    NamePair{"conv2", "conv2"},
    NamePair{"cls", "head"},  // SigLIP's text
};

// Tensors whose names end without ".weight" or ".bias" (ViT, SigLIP).
constexpr std::array kBare = {
    NamePair{"position_embd.weight", "embeddings.position_embeddings"},
    NamePair{"class_embd.weight", "embeddings.cls_token"},
    NamePair{"pool.probe.weight", "head.probe"},
    NamePair{"pool.attn_qkv.weight", "head.attention.in_proj_weight"},
    NamePair{"pool.attn_qkv.bias", "head.attention.in_proj_bias"},
};

// Of models with several stacks of layers: what names begin with, here and in Hugging Face folders.
constexpr std::array kStacks = {
    NamePair{"v.", "vision_model."},    NamePair{"t.", "text_model."}, NamePair{"enc.", "model.encoder."},
    NamePair{"dec.", "model.decoder."}, NamePair{"dec.", "decoder."},
};

// What encoders that were saved with a head have before every name.
constexpr std::array<std::string_view, 4> kEncoders = {"bert.", "roberta.", "mpnet.", "vit."};

// What comes before the number of a layer in Hugging Face folders; in GGUF files it is "blk.".
constexpr std::array<std::string_view, 9> kLayers = {"model.layers.",
                                                     "model.language_model.layers.",
                                                     "language_model.model.layers.",
                                                     "transformer.h.",
                                                     "h.",
                                                     "gpt_neox.layers.",
                                                     "encoder.layer.",
                                                     "encoder.layers.",
                                                     "layers."};

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
    // ModernBERT
    NamePair{"attn_qkv", "attn.Wqkv"},
    NamePair{"attn_output", "attn.Wo"},
    NamePair{"ffn_up", "mlp.Wi"},
    NamePair{"ffn_down", "mlp.Wo"},
    // ViT
    NamePair{"attn_q", "attention.attention.query"},
    NamePair{"attn_k", "attention.attention.key"},
    NamePair{"attn_v", "attention.attention.value"},
    // SigLIP, Whisper
    NamePair{"attn_output", "self_attn.out_proj"},
    NamePair{"cross_attn_q", "encoder_attn.q_proj"},
    NamePair{"cross_attn_k", "encoder_attn.k_proj"},
    NamePair{"cross_attn_v", "encoder_attn.v_proj"},
    NamePair{"cross_attn_output", "encoder_attn.out_proj"},
    NamePair{"ffn_up", "fc1"},
    NamePair{"ffn_down", "fc2"},
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

bool has_conv1d(std::string_view name) {
  return name.starts_with("transformer.h.") || name.starts_with("h.");
}

std::string_view without_encoder(std::string_view name) {
  for (const std::string_view prefix : kEncoders) {
    if (take_prefix(name, prefix)) break;
  }
  return name;
}

// Takes the name of a stack off the front, in the spelling of `column`; empty where there is none.
std::string_view take_stack(std::string_view& name, std::string_view NamePair::*column) {
  for (const NamePair& stack : kStacks) {
    if (take_prefix(name, stack.*column)) return stack.gguf;
  }
  return "";
}

std::optional<LayerName> layer_of(std::string_view stack, std::string_view rest) {
  const auto layer = take_number(rest);
  if (!layer) return std::nullopt;
  return LayerName{std::string(stack), *layer, std::string(rest)};
}

std::optional<LayerName> gguf_layer(std::string_view name) {
  const std::string_view stack = take_stack(name, &NamePair::gguf);
  return take_prefix(name, "blk.") ? layer_of(stack, name) : std::nullopt;
}

std::string layer_prefix(const LayerName& layer) {
  return fmt::format("{}blk.{}.", layer.stack, layer.layer);
}

std::optional<GgufName> gguf_name_of_expert(std::string_view stem, std::string_view suffix,
                                            const LayerName& layer) {
  for (std::string_view prefix : kExpertPrefixes) {
    std::string_view rest = stem;
    if (!take_prefix(rest, prefix)) continue;
    const auto expert = take_number(rest);
    if (!expert) return std::nullopt;
    const auto name = look_up(kExpert, rest, &NamePair::hf, &NamePair::gguf);
    if (!name) return std::nullopt;
    return GgufName{fmt::format("{}{}{}", layer_prefix(layer), *name, suffix), expert};
  }
  return std::nullopt;
}

// Outside the layers: the GGUF spelling of a name without its suffix.
std::optional<std::string> global_name(std::string_view stem) {
  std::string_view inner = stem;
  take_stack(inner, &NamePair::gguf);
  const auto own = [&](const auto& table) {
    return look_up(table, inner, &NamePair::gguf, &NamePair::hf).has_value();
  };
  if (own(kGlobal) || (inner != stem && own(kInStack))) return std::string(stem);
  inner = without_encoder(stem);
  const std::string_view stack = take_stack(inner, &NamePair::hf);
  auto found = look_up(kGlobal, inner, &NamePair::hf, &NamePair::gguf);
  if (!found && !stack.empty()) found = look_up(kInStack, inner, &NamePair::hf, &NamePair::gguf);
  return found ? std::optional(fmt::format("{}{}", stack, *found)) : std::nullopt;
}

std::optional<std::string> bare_name(std::string_view name) {
  std::string_view inner = name;
  take_stack(inner, &NamePair::gguf);
  if (look_up(kBare, inner, &NamePair::gguf, &NamePair::hf)) return std::string(name);
  inner = without_encoder(name);
  const std::string_view stack = take_stack(inner, &NamePair::hf);
  const auto found = look_up(kBare, inner, &NamePair::hf, &NamePair::gguf);
  return found ? std::optional(fmt::format("{}{}", stack, *found)) : std::nullopt;
}

}  // namespace

std::optional<LayerName> layer_name(std::string_view name) {
  if (auto layer = gguf_layer(name)) return layer;
  name = without_encoder(name);
  const std::string_view stack = take_stack(name, &NamePair::hf);
  for (const std::string_view prefix : kLayers) {
    if (take_prefix(name, prefix)) return layer_of(stack, name);
  }
  return std::nullopt;
}

std::optional<GgufName> gguf_name(std::string_view name) {
  if (auto bare = bare_name(name)) return GgufName{std::move(*bare), std::nullopt};
  const auto parts = split_suffix(name);
  if (!parts) return std::nullopt;
  const auto [stem, suffix] = *parts;
  if (const auto global = global_name(stem))
    return GgufName{fmt::format("{}{}", *global, suffix), std::nullopt};
  if (gguf_layer(name)) return GgufName{std::string(name), std::nullopt};
  const auto layer = layer_name(name);
  if (!layer) return std::nullopt;
  const std::string_view inner(layer->rest.data(), layer->rest.size() - suffix.size());
  if (has_conv1d(name) && look_up(kConv1d, inner, &NamePair::hf, &NamePair::gguf)) return std::nullopt;
  if (const auto mapped = look_up(kLayer, inner, &NamePair::hf, &NamePair::gguf)) {
    return GgufName{fmt::format("{}{}{}", layer_prefix(*layer), *mapped, suffix), std::nullopt};
  }
  return gguf_name_of_expert(inner, suffix, *layer);
}

std::optional<std::string> transposed_name(std::string_view name) {
  const auto layer = layer_name(name);
  if (!layer) return std::nullopt;
  if (const auto stacked = look_up(kStackedExperts, layer->rest, &NamePair::hf, &NamePair::gguf))
    return layer_prefix(*layer) + std::string(*stacked);
  const auto parts = split_suffix(layer->rest);
  if (!parts || !has_conv1d(name)) return std::nullopt;
  const auto mapped = look_up(kConv1d, parts->first, &NamePair::hf, &NamePair::gguf);
  if (!mapped) return std::nullopt;
  return fmt::format("{}{}{}", layer_prefix(*layer), *mapped, parts->second);
}

std::optional<GgufName> gguf_name_in_folder(std::string_view name) {
  const size_t folder = name.rfind('/') + 1;  // 0 where there is none
  auto gguf = gguf_name(name.substr(folder));
  if (gguf) gguf->name.insert(0, name.substr(0, folder));
  return gguf;
}

}  // namespace llmcodec
