// SPDX-License-Identifier: BSD-3-Clause
// Which elements of a model's hidden vector matter to what follows, from the gains of the norms that will read it.
//
// A norm divides by the size of the whole vector and multiplies each element by its gain, so a gradient by the hidden
// vector has, element by element, the sizes of the gains that are still to come. Models with a few very large elements
// (Gemma) have small gains there, and large ones in the norm after a part, which writes them: without the former, the
// estimate takes these few rows for hundreds of times as important as they are (docs/decisions/057-hidden-gradients.md).
//
// Example (const TensorSource& source, const ModelGraph& graph):
//
//   LLMC_ASSIGN_OR_RETURN(const HiddenGradients gradients, HiddenGradients::find(source, graph));
//   use(gradients.after_attention(0));  // graph.width values, of mean 1
#pragma once

#include <span>
#include <vector>

#include "estimate/model_graph.h"
#include "estimate/norm_vectors.h"

namespace llmcodec {

// The gains and biases of a norm, of any tensor dtype that can be read as F32. Errors: those of reading.
Result<NormValues> read_norm(const TensorSource& source, const Norm& norm, double epsilon);

class HiddenGradients {
 public:
  static Result<HiddenGradients> find(const TensorSource& source, const ModelGraph& graph);

  // Energy of gradients by each element of the hidden vector behind a part of a layer: mean over the norms that
  // will read it of their squared gains, each norm's of mean 1; all 1 where none has gains.
  std::span<const float> after_attention(size_t layer) const { return energies_[kParts * layer]; }
  // After attention to another stack.
  std::span<const float> after_cross(size_t layer) const { return energies_[kParts * layer + 1]; }
  std::span<const float> after_feed_forward(size_t layer) const { return energies_[kParts * layer + 2]; }

 private:
  static constexpr size_t kParts = 3;
  std::vector<std::vector<float>> energies_;  // of each layer's parts
};

}  // namespace llmcodec
