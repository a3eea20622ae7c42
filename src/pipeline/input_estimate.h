// SPDX-License-Identifier: BSD-3-Clause
// What the inputs of a model's layers look like, from the weights alone: no text, no tokenizer, no run of the
// model. Random tokens, drawn as a vocabulary sorted by frequency would have them, pass from layer to layer
// as vectors; norms, matrices and gates are computed as they are, attention is replaced by the mean over the
// last few tokens. Position, softmax, queries and keys play no part. What is kept is E[x_j^2] of each
// matrix's inputs, the same that an imatrix file holds (docs/decisions/023-input-estimate.md).
//
// It costs about as much as a forward pass of kEstimateTokens tokens: one pass over the weights, one matrix
// product per matrix. The same bits on any CPU and any number of threads: no libm, no fused operations, sums
// in a fixed order.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "quant/importance.h"
#include "tensor/model_source.h"

namespace llmcodec {

inline constexpr size_t kEstimateTokens = 512;

struct InputEstimate {
  std::optional<Importance> importance;
  std::string why_not;  // one line, when there is none
};

// `layer_done` hears how many weights were read since the last call and may end the estimate with an error.
// Errors: those of reading the model. A model of another family, or one with weights that are not finite, is
// no error: it has no estimate.
Result<InputEstimate> estimate_inputs(const Model& model, unsigned threads,
                                      const std::function<Status(uint64_t weights)>& layer_done);

}  // namespace llmcodec
