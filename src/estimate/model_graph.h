// SPDX-License-Identifier: BSD-3-Clause
// Which tensor does what in a transformer: the rows of the table of architectures (estimate/architecture.h) laid over
// the tensors of a model, by their names and shapes. A part of a layer that is not built as its row says is left out,
// with a line that says so; the parts beside it are not.
//
// Example (const Model& model):
//
//   LLMC_ASSIGN_OR_RETURN(const GraphSearch search, find_model_graph(model));
//   if (search.stacks.empty()) return error(ErrorKind::kUnsupported, "{}", search.note);
//   for (const ModelGraph& stack : search.stacks) use(stack.layers);
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "estimate/architecture.h"
#include "tensor/model_source.h"

namespace llmcodec {

// One linear layer: a matrix of a tensor (`matrix` counts along the leading dimensions, stacked experts), and its bias,
// one row of a tensor of biases.
struct Linear {
  size_t tensor = 0;
  uint64_t matrix = 0;
  uint64_t inputs = 0, outputs = 0;
  bool transposed = false;  // stored as inputs x outputs
  std::optional<size_t> bias;
};

// Some outputs of a fused matrix: output r is its row first + r / block * step + r % block.
struct Outputs {
  size_t linear = 0;  // which of the linear layers that read the same inputs
  uint64_t first = 0, block = 0, step = 0, count = 0;
  uint64_t row(uint64_t r) const { return first + r / block * step + r % block; }
};

struct Norm {
  NormKind kind = NormKind::kRms;
  bool plus_one = false;
  std::optional<size_t> gains, bias;
};

struct Attention {
  std::vector<Linear> readers;  // of the same inputs,
  size_t reading_other = 0;     // but for the last so many, which read another stack's output
  Outputs query, key, value;
  Linear output;
  std::optional<Norm> query_norm, key_norm;
  std::optional<size_t> sinks;  // a score per head that takes its share and gives nothing
  double rotation_base = 10000;
};

// down(activation(gate) * up), or down(activation(up)) without a gate
struct FeedForward {
  std::vector<Linear> readers;
  std::optional<Outputs> gate;
  Outputs up;
  Linear down;
};

struct FeedForwardPart {
  std::vector<FeedForward> experts;   // one without a router: a dense layer
  std::optional<Linear> router;       // experts x width
  std::optional<FeedForward> shared;  // an expert that every token passes
};

struct GraphLayer {
  std::optional<Norm> before_attention, after_attention, before_feed_forward, after_feed_forward;
  std::optional<Attention> attention;
  // To another stack, after attention. `replaces`: what it gives takes the hidden vectors' place, and is not added.
  std::optional<Norm> before_cross;
  std::optional<Attention> cross;
  bool replaces = false;
  std::optional<FeedForwardPart> feed_forward;
};

// What the hidden vectors of a stack without tokens begin as (Start).
struct SignalStart {
  // The first reads the signal. An activation follows each, but none follows that of patches.
  std::vector<Linear> convolutions;
  uint64_t channels = 0;              // colours, or values of a spectrum
  uint64_t side = 0;                  // of a patch, or moments that a convolution reads
  std::optional<size_t> first_token;  // stands before the patches
};

// A model's layers, or one stack of several.
struct ModelGraph {
  Architecture architecture;
  std::string stack;  // what its tensors' names begin with (quant/tensor_names.h)
  bool gguf = false;
  uint64_t width = 0, tokens = 0;  // of the embedding: tokens x width
  uint64_t heads = 0, kv_heads = 0, head_width = 0;
  uint64_t rotated = 0;  // elements of a head that are turned
  double rotation_base = 10000, local_base = 10000, epsilon = 1e-5, score_factor = 0, embedding_factor = 1,
         residual_factor = 1, logit_factor = 1;
  Rotation rotation = Rotation::kNone;
  uint64_t local_layers = 0;         // of so many layers all but one rotate by the local base
  std::vector<bool> layer_is_local;  // or each by itself
  // What the hidden vectors begin as is one of these; `query` is a vector that is the same for all tokens.
  std::optional<size_t> embedding, query;
  std::optional<SignalStart> signal;
  std::optional<size_t> reads;  // which stack before this one its layers read too
  std::optional<size_t> positions,
      types;  // added to the embeddings: of each position; of the first kind of token
  std::optional<Norm> embedding_norm, final_norm;
  std::optional<size_t> head;    // the embedding where it is tied
  std::optional<Linear> pooler;  // of an encoder: what reads its output
  std::vector<GraphLayer> layers;
};

struct GraphSearch {
  std::vector<ModelGraph> stacks;
  std::string note;  // one line: why there is none, or what of the model is not in them
};

// Errors: a config.json that cannot be read or is no JSON.
Result<GraphSearch> find_model_graph(const Model& model);

}  // namespace llmcodec
