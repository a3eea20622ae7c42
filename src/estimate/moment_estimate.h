// SPDX-License-Identifier: BSD-3-Clause
// What the inputs of a model's layers look like and how much their outputs matter, from the weights alone: no
// text, no tokenizer, no run of the model. Random tokens, drawn as a vocabulary sorted by frequency would
// have them, or noise pictures and noise sounds (estimate/start_vectors.h), pass from layer to layer as vectors, in short
// sequences, one stack of layers after the other where a model has several; norms, matrices, gates and attention are computed
// as they are, as the table of architectures says of the model's family (estimate/architecture.h).
//
// Inputs: E[x_j^2] of each matrix's inputs, the same that an imatrix file holds; tokens with large hidden
// vectors, which the next norm shrinks, count less (docs/decisions/023-input-estimate.md).
//
// Outputs: E[g_i^2], up to a factor that is the same for the whole model. Nothing is passed backwards through
// the model: gradients by the hidden vector are taken as noise of the size 1 / RMS(hidden vector), element by element as
// large as the gains of the norms to come (estimate/hidden_gradients.h), and passed back through the one block that the
// matrix is in, its attention and the norm after it among them. One value for all rows of a matrix, except for queries
// and keys and what is added to the hidden vector (docs/decisions/026-output-estimate.md, 054, 057). Rows of a head matter as their
// tokens are likely after the random ones, in a unit of their own (estimate/head_outputs.h).
//
// It costs about as much as a forward pass of kEstimateTokens tokens: one pass over the weights, one matrix
// product per matrix, two for that after attention. The same bits on any CPU and any number of threads: no libm, no fused operations, sums
// in a fixed order.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "quant/importance.h"
#include "tensor/model_source.h"

namespace llmcodec {

struct MomentEstimate {
  std::optional<Importance> importance;  // inputs and outputs
  std::string note;                      // one line: why there is none, or what of the model it leaves out
};

// `layer_done` hears how many weights were read since the last call and may end the estimate with an error.
// Errors: those of reading the model. A model of which nothing is recognised, or one with weights that are not finite, is
// no error: it has no estimate. Parts of layers that are not recognised have none, and the others do.
Result<MomentEstimate> estimate_moments(const Model& model, unsigned threads,
                                        const std::function<Status(uint64_t weights)>& layer_done);

}  // namespace llmcodec
