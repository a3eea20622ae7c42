// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/tensor_role.h"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace llmcodec {
namespace {

struct RoleInfo {
  const char* name;
  const char* kept_because;  // nullptr: coded
};

constexpr std::array<RoleInfo, kTensorRoles> kRoles = {{
    {"matrix", nullptr},
    {"embedding", nullptr},
    {"head", nullptr},
    {"expert", nullptr},
    {"adapter", nullptr},
    {"convolution", nullptr},
    {"position", nullptr},
    {"other", nullptr},
    {"vector", "no matrix"},
    {"norm", "norm"},
    {"bias", "bias"},
    {"router", "router: an error here sends tokens to other experts"},
    {"state", "state of a recurrence"},
    {"buffer", "buffer: computed, not learnt"},
    {"scale", "scale of a quantised tensor"},
    {"codes", "codes of a quantised tensor"},
    {"index", "not floating point"},
}};

// A name in small letters and its parts between points and slashes.
struct Name {
  std::string text;
  std::vector<std::string_view> parts;  // of text

  explicit Name(std::string_view name) : text(name) {
    for (char& c : text) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    size_t begin = 0;
    for (size_t i = 0; i <= text.size(); ++i) {
      if (i < text.size() && text[i] != '.' && text[i] != '/') continue;
      if (i > begin) parts.push_back(std::string_view(text).substr(begin, i - begin));
      begin = i + 1;
    }
  }
  std::string_view last() const { return parts.empty() ? std::string_view() : parts.back(); }
};

enum class Where {
  kPart,   // a part of the name is this
  kStart,  // a part of the name begins with this
  kEnd,    // a part of the name ends with this
  kLast,   // the last part is this
};

bool matches(const Name& name, Where where, std::string_view text) {
  switch (where) {
    case Where::kPart:
      return std::ranges::find(name.parts, text) != name.parts.end();
    case Where::kStart:
      return std::ranges::any_of(name.parts, [&](std::string_view part) { return part.starts_with(text); });
    case Where::kEnd:
      return std::ranges::any_of(name.parts, [&](std::string_view part) { return part.ends_with(text); });
    case Where::kLast:
      return name.last() == text;
  }
  return false;
}

struct Rule {
  TensorRole role;
  Where where;
  std::string_view text;
};

using enum TensorRole;
using enum Where;

// The first that matches holds. Names of llama.cpp, transformers, diffusers and the state-space and RWKV code bases.
constexpr auto kRules = std::to_array<Rule>({
    // Parameters of quantisers (GPTQ, AWQ, compressed-tensors, FP8, MXFP4, NVFP4, bitsandbytes, ComfyUI).
    {kQuantiserScale, kEnd, "weight_scale"},
    {kQuantiserScale, kEnd, "weight_scale_inv"},
    {kQuantiserScale, kEnd, "weight_scale_2"},
    {kQuantiserScale, kLast, "scale_weight"},
    {kQuantiserScale, kLast, "scale_input"},
    {kQuantiserScale, kEnd, "global_scale"},
    {kQuantiserScale, kEnd, "input_scale"},
    {kQuantiserScale, kEnd, "output_scale"},
    {kQuantiserScale, kLast, "k_scale"},
    {kQuantiserScale, kLast, "v_scale"},
    {kQuantiserScale, kLast, "scales"},
    {kQuantiserScale, kEnd, "_scales"},
    {kQuantiserScale, kLast, "qzeros"},
    {kQuantiserScale, kLast, "weight_zero_point"},
    {kQuantiserScale, kEnd, "absmax"},
    {kQuantiserScale, kEnd, "quant_map"},
    {kQuantiserScale, kLast, "scb"},
    // Recurrences. ssm_in, ssm_x and ssm_out are linear layers, as are RWKV's five mixing matrices in GGUF.
    {kMatrix, kPart, "ssm_in"},
    {kMatrix, kPart, "ssm_out"},
    {kMatrix, kPart, "ssm_x"},
    {kMatrix, kPart, "time_mix_receptance"},
    {kMatrix, kPart, "time_mix_key"},
    {kMatrix, kPart, "time_mix_value"},
    {kMatrix, kPart, "time_mix_output"},
    {kMatrix, kPart, "time_mix_gate"},
    {kState, kStart, "ssm_"},
    {kState, kStart, "time_"},
    {kState, kLast, "a_log"},
    {kState, kPart, "dt_proj"},
    {kState, kLast, "dt_bias"},
    {kState, kLast, "a_param"},
    {kState, kPart, "shortconv"},
    {kState, kPart, "relative_attention_bias"},
    {kState, kStart, "relative_position_bias"},
    {kState, kStart, "rel_pos"},
    {kState, kPart, "attn_rel_b"},
    {kState, kStart, "altup"},
    {kState, kStart, "laurel"},
    // Buffers.
    {kBuffer, kEnd, "freqs"},
    {kBuffer, kStart, "freqs"},
    {kBuffer, kEnd, "inv_freq"},
    {kBuffer, kPart, "rotary_emb"},
    {kBuffer, kEnd, "masked_bias"},
    {kBuffer, kEnd, "mask"},
    {kBuffer, kStart, "running_"},
    {kBuffer, kLast, "cos_cached"},
    {kBuffer, kLast, "sin_cached"},
    // Routers.
    {kRouter, kPart, "ffn_gate_inp"},
    {kRouter, kPart, "ffn_gate_inp_shexp"},
    {kRouter, kPart, "router"},
    {kRouter, kPart, "shared_expert_gate"},
    // Low-rank updates (PEFT, GGUF, kohya, diffusers).
    {kAdapter, kStart, "lora_"},
    {kAdapter, kPart, "lora"},
    {kAdapter, kEnd, "_lora"},
    // Norms and biases.
    {kNorm, kEnd, "norm"},
    {kNorm, kStart, "norm"},
    {kNorm, kEnd, "layernorm"},
    {kNorm, kStart, "ln_"},
    {kNorm, kStart, "layer_norm"},
    {kBias, kEnd, "bias"},
    {kBias, kEnd, "biases"},
    // Positions and segments.
    {kPosition, kPart, "wpe"},
    {kPosition, kStart, "position_emb"},
    {kPosition, kStart, "embed_position"},
    {kPosition, kStart, "pos_emb"},
    {kPosition, kStart, "token_type"},
    // Vocabularies.
    {kEmbedding, kPart, "token_embd"},
    {kEmbedding, kStart, "embed_tokens"},
    {kEmbedding, kPart, "wte"},
    {kEmbedding, kPart, "word_embeddings"},
    {kEmbedding, kPart, "tok_embeddings"},
    {kEmbedding, kPart, "per_layer_token_embd"},
    {kEmbedding, kPart, "embed_in"},
    {kHead, kStart, "lm_head"},
    {kHead, kPart, "embed_out"},
    // Convolutions.
    {kConvolution, kStart, "conv"},
    {kConvolution, kEnd, "conv"},
    {kConvolution, kEnd, "conv1d"},
    {kConvolution, kStart, "patch_emb"},
});

bool is_named_expert(const Name& name) {
  return std::ranges::any_of(name.parts, [](std::string_view part) {
    return part == "experts" || part.ends_with("_exps") || part.ends_with("_exp");
  });
}

// "gate" alone is a router in mixtures of experts (DeepSeek, Qwen, Mixtral) and a layer of the feed-forward part in
// other models: a router has one row per expert, which are far fewer than its columns.
bool is_router_gate(const Name& name, const TensorInfo& info) {
  return name.parts.size() >= 2 && name.parts[name.parts.size() - 2] == "gate" && info.shape.size() == 2 &&
         info.shape[0] * 4 <= info.shape[1];
}

TensorRole role_of_integers(const Name& name, const TensorInfo& info) {
  const auto ends = [&](std::string_view text) { return name.last().ends_with(text); };
  if (info.dtype == Dtype::kBool || ends("mask")) return kBuffer;
  if (ends("scale") || ends("scales") || ends("scale_inv") || ends("zeros") || ends("zero_point") ||
      ends("absmax") || info.dtype == Dtype::kF8E8M0)
    return kQuantiserScale;
  if (ends("weight") || ends("_packed") || ends("_blocks") || info.dtype == Dtype::kF4) return kPackedCodes;
  return kIndex;
}

TensorRole role_of_name(const Name& name) {
  for (const Rule& rule : kRules) {
    if (matches(name, rule.where, rule.text)) return rule.role;
  }
  return kOther;
}

}  // namespace

const char* role_name(TensorRole role) {
  return kRoles[static_cast<size_t>(role)].name;
}

const char* kept_because(TensorRole role) {
  return kRoles[static_cast<size_t>(role)].kept_because;
}

bool is_minor(TensorRole role) {
  return role == kConvolution || role == kPosition || role == kOther;
}

TensorRole tensor_role(const TensorInfo& info) {
  const Name name(info.local_name());
  if (!dtype_info(info.dtype).floating) return role_of_integers(name, info);
  const TensorRole named = role_of_name(name);
  const size_t sides = info.shape.size();
  // GPT-2 calls its causal mask [1, 1, positions, positions] a bias.
  if (named == kBias && sides > 2) return kBuffer;
  if (kept_because(named) != nullptr) return named;
  if (sides < 2) return kVector;
  if (is_router_gate(name, info)) return kRouter;
  if (info.local_name() == "output.weight") return kHead;
  if (named == kMatrix || named == kAdapter) return named;
  if (is_named_expert(name)) return kExpert;
  if (named == kConvolution) return sides > 2 ? kConvolution : kMatrix;
  if (named != kOther) return named;
  if (sides > 3) return kConvolution;
  if (sides == 3) return kOther;
  return kMatrix;
}

std::optional<MatrixShape> tensor_matrices(const TensorInfo& info) {
  if (info.shape.size() == 3 && tensor_role(info) == kConvolution) return one_matrix(info.shape);
  return matrix_shape(info.shape);
}

bool is_vocabulary(std::string_view name) {
  if (name == "output.weight") return true;
  const TensorRole role = role_of_name(Name(name));
  return role == kEmbedding || role == kHead;
}

}  // namespace llmcodec
