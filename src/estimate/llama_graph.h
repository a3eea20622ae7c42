// SPDX-License-Identifier: BSD-3-Clause
// Which tensor does what in a model of the Llama family: pre-normalised attention and gated feed-forward
// layers, dense or mixtures of experts (Llama, Mistral, Mixtral, Qwen 2 and 3, SmolLM). Recognised by the
// model's declared type and by its tensors' names and shapes; anything else is not guessed at.
//
// Example (const Model& model):
//
//   LLMC_ASSIGN_OR_RETURN(const LlamaSearch search, find_llama_graph(model));
//   if (!search.graph) return error(ErrorKind::kUnsupported, "{}", search.why_not);
//   for (const LlamaLayer& layer : search.graph->layers) use(layer.value, layer.output);
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tensor/model_source.h"

namespace llmcodec {

// One matrix of a tensor, by its index in the source; `matrix` counts along the leading dimensions (stacked
// experts).
struct MatrixRef {
  size_t tensor = 0;
  uint64_t matrix = 0;
};

// down(silu(gate x) * up x)
struct GatedFeedForward {
  MatrixRef gate, up, down;
};

struct LlamaLayer {
  size_t attention_norm = 0, feed_forward_norm = 0;  // vectors of `width`
  std::vector<size_t> attention_inputs;  // what reads the normalised vectors: query, key and value
  MatrixRef value, output;
  std::optional<MatrixRef> query, key;  // absent where norms follow them
  std::optional<size_t> value_bias, query_bias;
  std::vector<GatedFeedForward> experts;   // one without a router: a dense layer
  std::optional<MatrixRef> router;         // experts x width
  std::optional<GatedFeedForward> shared;  // an expert that every token passes
};

struct LlamaGraph {
  uint64_t width = 0, tokens = 0;  // of the embedding: tokens x width
  uint64_t heads = 0, kv_heads = 0, head_width = 0;
  size_t embedding = 0, final_norm = 0, head = 0;  // head: the embedding where it is tied
  std::vector<LlamaLayer> layers;
};

struct LlamaSearch {
  std::optional<LlamaGraph> graph;
  std::string why_not;  // one line, when there is no graph
};

// Errors: a config.json that cannot be read or is no JSON.
Result<LlamaSearch> find_llama_graph(const Model& model);

}  // namespace llmcodec
