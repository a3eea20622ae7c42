// SPDX-License-Identifier: BSD-3-Clause
// Names of the same tensor in GGUF and in Hugging Face checkpoints of decoder models of the Llama family
// (Llama, Mistral, Qwen, Gemma, Phi, SmolLM and mixtures of experts built on them):
//   blk.3.attn_q.weight  =  model.layers.3.self_attn.q_proj.weight
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace llmcodec {

// A name in the GGUF spelling. Experts stored as one tensor each in Hugging Face folders are one
// 3-D tensor in GGUF.
struct GgufName {
  std::string name;
  std::optional<uint32_t> expert;  // leading index in the GGUF tensor
};

// The GGUF spelling of `name`: itself when it is one already ("blk.N." and anything, or the names outside
// layers); nullopt for a name of neither kind.
std::optional<GgufName> gguf_name(std::string_view name);

// The same of a tensor in a part of a pipeline, whose folder stays in front: "text_encoder/blk.3.attn_q.weight".
std::optional<GgufName> gguf_name_in_folder(std::string_view name);

}  // namespace llmcodec
