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
};

// Inside layer N: "blk.N." and "model.layers.N." come before, ".weight" or ".bias" follows.
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

}  // namespace

std::optional<GgufName> gguf_name(std::string_view name) {
  const auto parts = split_suffix(name);
  if (!parts) return std::nullopt;
  auto [stem, suffix] = *parts;
  if (look_up(kGlobal, stem, &NamePair::gguf, &NamePair::hf))
    return GgufName{std::string(name), std::nullopt};
  if (const auto global = look_up(kGlobal, stem, &NamePair::hf, &NamePair::gguf)) {
    return GgufName{fmt::format("{}{}", *global, suffix), std::nullopt};
  }
  if (take_prefix(stem, "blk.")) {
    if (!take_number(stem)) return std::nullopt;
    return GgufName{std::string(name), std::nullopt};
  }
  if (!take_prefix(stem, "model.layers.")) return std::nullopt;
  const auto layer = take_number(stem);
  if (!layer) return std::nullopt;
  if (const auto inner = look_up(kLayer, stem, &NamePair::hf, &NamePair::gguf)) {
    return GgufName{fmt::format("blk.{}.{}{}", *layer, *inner, suffix), std::nullopt};
  }
  return gguf_name_of_expert(stem, suffix, *layer);
}

std::optional<GgufName> gguf_name_in_folder(std::string_view name) {
  const size_t folder = name.rfind('/') + 1;  // 0 where there is none
  auto gguf = gguf_name(name.substr(folder));
  if (gguf) gguf->name.insert(0, name.substr(0, folder));
  return gguf;
}

}  // namespace llmcodec
