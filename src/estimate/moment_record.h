// SPDX-License-Identifier: BSD-3-Clause
// What the estimate finds, collected matrix by matrix and handed over as an Importance.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <vector>

#include "estimate/model_graph.h"
#include "quant/importance.h"

namespace llmcodec {

class MomentRecord {
 public:
  explicit MomentRecord(const TensorSource& source) : source_(source) {}

  // E[x^2] per input and E[g^2] per output of one matrix; those of stacked experts in their order. Of a matrix that is
  // stored as inputs x outputs, both change places: what multiplies its columns are gradients. `outputs` may be empty.
  void add(const Linear& linear, std::vector<float> inputs, const std::vector<double>& outputs);

  // Empty when something in the model is not finite.
  std::optional<Importance> result() &&;

 private:
  bool has_dead_matrix(size_t tensor) const;

  const TensorSource& source_;
  Importance importance_;                      // by column, until the end
  std::map<size_t, std::vector<float>> rows_;  // by tensor, all its matrices
  bool finite_ = true;
};

}  // namespace llmcodec
