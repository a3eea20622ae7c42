// SPDX-License-Identifier: BSD-3-Clause
// config.json of a transformer: what is read from it leads through the weights.
#include "estimate/moment_estimate.h"
#include "fuzz_target.h"

namespace llmcodec {
namespace {

constexpr uint64_t kWidth = 8, kHeadWidth = 4, kHidden = 12, kTokens = 16;

std::vector<FuzzTensor> one_layer() {
  const std::string layer = "model.layers.0.";
  return {{"model.embed_tokens.weight", {kTokens, kWidth}},
          {"model.norm.weight", {kWidth}},
          {layer + "input_layernorm.weight", {kWidth}},
          {layer + "post_attention_layernorm.weight", {kWidth}},
          {layer + "self_attn.q_proj.weight", {kWidth, kWidth}},
          {layer + "self_attn.k_proj.weight", {kHeadWidth, kWidth}},
          {layer + "self_attn.v_proj.weight", {kHeadWidth, kWidth}},
          {layer + "self_attn.o_proj.weight", {kWidth, kWidth}},
          {layer + "mlp.gate_proj.weight", {kHidden, kWidth}},
          {layer + "mlp.up_proj.weight", {kHidden, kWidth}},
          {layer + "mlp.down_proj.weight", {kWidth, kHidden}}};
}

uint64_t run(std::string_view input) {
  static const std::string weights = fuzz_file("llama/model.safetensors", fuzz_safetensors(one_layer()));
  fuzz_file("llama/config.json", input);
  const auto model = open_model(fuzz_folder() + "llama");
  // Refused where the text is no config at all but the pointer that Git LFS leaves, which libFuzzer found out.
  if (!fuzz_accepts(model)) return 0;
  fuzz_accepts(estimate_moments(*model, 1, [](uint64_t) { return Status::ok(); }));
  return 0;
}

std::vector<std::string> seeds() {
  return {
      R"({"model_type": "llama", "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4})",
      R"({"model_type": "qwen3", "num_attention_heads": 2, "num_key_value_heads": 1})",
      R"({"model_type": "other", "text_config": {"model_type": "granite", "num_attention_heads": 2,
              "num_key_value_heads": 1, "rope_parameters": {"rope_theta": 1e6, "partial_rotary_factor": 0.5},
              "rms_norm_eps": 1e-6, "embedding_multiplier": 12, "residual_multiplier": 0.2}})",
      R"({"model_type": "siglip", "text_config": {"num_attention_heads": 2}, "vision_config": {"num_attention_heads": 2}})",
      R"({"model_type": "whisper", "encoder_attention_heads": 2, "decoder_attention_heads": 2})",
      R"({"model_type": "modernbert", "num_attention_heads": 2, "layer_types": ["sliding_attention"],
              "global_attn_every_n_layers": 3, "local_rope_theta": 1e4})"};
}

}  // namespace

const FuzzTarget kConfigTarget = {"config", run, seeds, mutate_json_text};

}  // namespace llmcodec
