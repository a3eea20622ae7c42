// SPDX-License-Identifier: BSD-3-Clause
#include <span>

#include "estimate/architecture.h"

namespace llmcodec {
namespace {

constexpr NormNames kGgufBefore = {"attn_norm", "", "ffn_norm", ""};
constexpr NormNames kGgufAfter = {"", "post_attention_norm", "", "post_ffw_norm"};
constexpr NormNames kGgufBoth = {"attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"};
// Of a layer whose parts both read the same norm.
constexpr NormNames kGgufOne = {"attn_norm", "", "attn_norm", ""};

constexpr NormNames kBefore = {"input_layernorm", "", "post_attention_layernorm", ""};
constexpr NormNames kAfter = {"", "post_attention_layernorm", "", "post_feedforward_layernorm"};
constexpr NormNames kBoth = {"input_layernorm", "post_attention_layernorm", "pre_feedforward_layernorm",
                             "post_feedforward_layernorm"};
constexpr NormNames kOne = {"input_layernorm", "", "input_layernorm", ""};

constexpr NormNames kNumbered = {"layer_norm1", "", "layer_norm2", ""};
constexpr NormNames kWhisper = {"self_attn_layer_norm", "", "final_layer_norm", ""};
constexpr NormNames kCrossing = {"self_attn_layer_norm", "", "final_layer_norm", "",
                                 "encoder_attn_layer_norm"};

constexpr auto kNeighbours = Rotation::kNeighbours;
constexpr auto kHalves = Rotation::kHalves;

// GGUF files of Llama, Mistral, Granite and SmolLM 3 have their queries and keys sorted for neighbours.
constexpr Architecture kTable[] = {
    {.name = "Llama, Mistral, Mixtral, SmolLM",
     .gguf = {"llama mistral mistral3 smollm3", kGgufBefore, kNeighbours},
     .hugging_face = {"llama mistral mistral3 ministral ministral3 mixtral smollm3", kBefore}},
    {.name = "Qwen 2, Qwen 3, with experts too",
     .gguf = {"qwen2 qwen3 qwen2moe qwen3moe", kGgufBefore},
     .hugging_face = {"qwen2 qwen3 qwen2_moe qwen3_moe", kBefore}},
    {.name = "Gemma",
     .activation = Activation::kGelu,
     .norms_plus_one = true,
     .embedding_by_width = true,
     .gguf = {"gemma", kGgufBefore},
     .hugging_face = {"gemma", kBefore}},
    {.name = "Gemma 2",
     .activation = Activation::kGelu,
     .norms_plus_one = true,
     .embedding_by_width = true,
     .gguf = {"gemma2", kGgufBoth},
     .hugging_face = {"gemma2", kBoth}},
    {.name = "Gemma 3",
     .activation = Activation::kGelu,
     .norms_plus_one = true,
     .embedding_by_width = true,
     .local_layers = 6,
     .gguf = {"gemma3", kGgufBoth},
     .hugging_face = {"gemma3 gemma3_text", kBoth}},
    {.name = "Phi 1.5 and 2",
     .norm = NormKind::kLayer,
     .activation = Activation::kGelu,
     .joining = Joining::kParallel,
     .gguf = {"phi2", kGgufOne},
     .hugging_face = {"phi", kOne}},
    {.name = "Phi 3 and 4", .gguf = {"phi3", kGgufBefore}, .hugging_face = {"phi3", kBefore}},
    {.name = "OLMo 2 and 3", .gguf = {"olmo2", kGgufAfter}, .hugging_face = {"olmo2 olmo3", kAfter}},
    {.name = "Granite",
     .gguf = {"granite granitemoe", kGgufBefore, kNeighbours},
     .hugging_face = {"granite", kBefore}},
    {.name = "Cohere",
     .norm = NormKind::kLayer,
     .joining = Joining::kParallel,
     .gguf = {"command-r cohere2", kGgufOne, kNeighbours},
     .hugging_face = {"cohere cohere2", kOne, kNeighbours}},
    {.name = "StarCoder 2",
     .norm = NormKind::kLayer,
     .activation = Activation::kGelu,
     .gguf = {"starcoder2", kGgufBefore},
     .hugging_face = {"starcoder2", kBefore}},
    {.name = "GPT-2",
     .norm = NormKind::kLayer,
     .activation = Activation::kGelu,
     .gguf = {"gpt2", kGgufBefore, Rotation::kNone},
     .hugging_face = {"gpt2", {"ln_1", "", "ln_2", ""}, Rotation::kNone}},
    {.name = "GPT-NeoX, Pythia",
     .norm = NormKind::kLayer,
     .activation = Activation::kGelu,
     .joining = Joining::kParallel,
     .gguf = {"gptneox", kGgufBefore},
     .hugging_face = {"gpt_neox", kBefore, kHalves, FusedRows::kByKeyHead}},
    {.name = "Falcon",
     .norm = NormKind::kLayer,
     .activation = Activation::kGelu,
     .joining = Joining::kParallel,
     .gguf = {"falcon", {"attn_norm_2|attn_norm", "", "attn_norm", ""}},
     .hugging_face = {"falcon",
                      {"ln_attn|input_layernorm", "", "ln_mlp|post_attention_layernorm|input_layernorm", ""},
                      kHalves,
                      FusedRows::kByKeyHead}},
    {.name = "GLM 4",
     .gguf = {"glm4", kGgufBoth, kNeighbours},
     .hugging_face = {"glm4",
                      {"input_layernorm", "post_self_attn_layernorm", "post_attention_layernorm",
                       "post_mlp_layernorm"},
                      kNeighbours}},
    {.name = "gpt-oss",
     .activation = Activation::kClampedSwiglu,
     .neighbouring_gate = true,
     .gguf = {"gpt-oss", {"attn_norm", "", "post_attention_norm", ""}},
     .hugging_face = {"gpt_oss", kBefore}},
    {.name = "BERT, RoBERTa",
     .norm = NormKind::kLayer,
     .activation = Activation::kGelu,
     .joining = Joining::kNormOfSum,
     .looks_ahead = true,
     .gguf = {"bert", {"", "attn_output_norm", "", "layer_output_norm"}, Rotation::kNone},
     .hugging_face = {"bert roberta xlm-roberta mpnet",
                      {"", "attention.output.LayerNorm|attention.LayerNorm", "", "output.LayerNorm"},
                      Rotation::kNone}},
    {.name = "ModernBERT",
     .norm = NormKind::kLayer,
     .activation = Activation::kGelu,
     .looks_ahead = true,
     .bare_first_layer = true,
     .local_layers = 3,
     .global_first = true,
     .gguf = {"modern-bert", kGgufBefore},
     .hugging_face = {"modernbert", {"attn_norm", "", "mlp_norm", ""}}},
    {.name = "ViT",
     .norm = NormKind::kLayer,
     .activation = Activation::kGelu,
     .looks_ahead = true,
     .start = Start::kPatches,
     .hugging_face = {"vit", {"layernorm_before", "", "layernorm_after", ""}, Rotation::kNone}},
    {.name = "SigLIP's pictures",
     .norm = NormKind::kLayer,
     .activation = Activation::kGelu,
     .looks_ahead = true,
     .pools = true,
     .heads = 12,
     .start = Start::kPatches,
     .stack = "v.",
     .settings = "vision_config",
     .hugging_face = {"siglip siglip_vision_model", kNumbered, Rotation::kNone}},
    {.name = "SigLIP's text",
     .norm = NormKind::kLayer,
     .activation = Activation::kGelu,
     .looks_ahead = true,
     .heads = 12,
     .stack = "t.",
     .settings = "text_config",
     .hugging_face = {"siglip siglip_text_model", kNumbered, Rotation::kNone}},
    {.name = "Whisper's encoder",
     .norm = NormKind::kLayer,
     .activation = Activation::kGelu,
     .looks_ahead = true,
     .start = Start::kSound,
     .stack = "enc.",
     .settings = "encoder_",
     .hugging_face = {"whisper", kWhisper, Rotation::kNone}},
    {.name = "Whisper's decoder",
     .norm = NormKind::kLayer,
     .activation = Activation::kGelu,
     .stack = "dec.",
     .reads = "enc.",
     .settings = "decoder_",
     .hugging_face = {"whisper", kCrossing, Rotation::kNone}},
};

constexpr Architecture kUnknown = {
    .name = "unknown", .gguf = {"", kGgufBefore}, .hugging_face = {"", kBefore}};

bool lists(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const size_t end = words.find(' ');
    if (words.substr(0, end) == word) return true;
    words.remove_prefix(end == std::string_view::npos ? words.size() : end + 1);
  }
  return false;
}

}  // namespace

std::vector<const Architecture*> find_architectures(std::string_view type, bool gguf) {
  std::vector<const Architecture*> rows;
  for (const Architecture& row : kTable) {
    if (lists(gguf ? row.gguf.types : row.hugging_face.types, type)) rows.push_back(&row);
  }
  return rows;
}

const Architecture& unknown_architecture() {
  return kUnknown;
}

}  // namespace llmcodec
