// SPDX-License-Identifier: BSD-3-Clause
// Products of a model's matrices with the vectors of the estimate of moments, read block by block, blocks or their
// columns in parallel. The same bits for any number of threads.
#pragma once

#include "estimate/model_graph.h"
#include "estimate/noise_vectors.h"

namespace llmcodec {

class LinearProducts {
 public:
  LinearProducts(const TensorSource& source, unsigned threads) : source_(source), threads_(threads) {}

  // weight * inputs + bias
  Result<Vectors> forward(const Linear& linear, const Vectors& inputs);
  // The same for any number of inputs, added to `outputs`; a linear layer without a bias.
  Status forward(const Linear& linear, MatrixView<const float> inputs, MatrixView<float> outputs);
  // The same, and per input the sum of the squares of its weights, each times its output's `weights`: what the layer
  // does to the energy of white noise on its way back.
  Result<Vectors> forward(const Linear& linear, const Vectors& inputs, std::span<const float> weights,
                          std::vector<double>* energy);
  // transposed weight * gradients
  Result<Vectors> backward(const Linear& linear, const Vectors& gradients);

  uint64_t weights_read() const { return weights_read_; }

 private:
  struct Asked;
  Status multiply(const Linear& linear, MatrixView<const float> from, const Asked& asked,
                  MatrixView<float> to);
  Status along_rows(const Linear& linear, MatrixView<const float> from, const Asked& asked,
                    MatrixView<float> to);
  Status across_rows(const Linear& linear, MatrixView<const float> from, const Asked& asked,
                     MatrixView<float> to);
  Status add_bias(const Linear& linear, Vectors* sum) const;

  const TensorSource& source_;
  unsigned threads_;
  uint64_t weights_read_ = 0;
};

}  // namespace llmcodec
