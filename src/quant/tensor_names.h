// SPDX-License-Identifier: BSD-3-Clause
// Names of the same tensor in GGUF and in Hugging Face checkpoints of transformers (the families of
// estimate/architecture.h):
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

// The GGUF spelling of what Hugging Face folders store the other way round, as inputs x outputs: matrices of GPT-2 and
// experts of gpt-oss, and their biases. gguf_name() has none for these, so that nothing takes their rows for outputs.
std::optional<std::string> transposed_name(std::string_view name);

// "model.layers.3.input_layernorm.weight" -> "", 3, "input_layernorm.weight"; likewise in the GGUF spelling. Of a model
// with several stacks of layers, with the beginning of the stack's names in GGUF files: "v." of pictures, "t." of text,
// "enc." and "dec." of an encoder and its decoder.
struct LayerName {
  std::string stack;
  uint32_t layer = 0;
  std::string rest;
};
std::optional<LayerName> layer_name(std::string_view name);

}  // namespace llmcodec
