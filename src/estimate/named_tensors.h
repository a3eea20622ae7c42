// SPDX-License-Identifier: BSD-3-Clause
// Tensors of a model by what they are called in GGUF files, in whichever spelling the model has them, and which of them
// nobody asked for.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "estimate/model_graph.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

class NamedTensors {
 public:
  explicit NamedTensors(const TensorSource& source);

  // By the GGUF name, or, inside a layer, by "blk.N." (behind the stack's prefix) and the model's own; experts that are
  // tensors of their own by "name#expert". What is found counts as used.
  std::optional<size_t> find(const std::string& name);
  std::optional<size_t> vector(const std::string& name, uint64_t size);
  // "stem.weight" and, where it is there, "stem.bias"; `after` ends both names ("#3"). 0 inputs or outputs: as many as
  // it has. nullopt for other sizes, and for stacked matrices other than experts.
  std::optional<Linear> linear(const std::string& stem, uint64_t outputs, uint64_t inputs,
                               const std::string& after = "");
  // Matrices that are stacked in "stem.weight"; 1 for a tensor that is one matrix.
  uint64_t stacked(const std::string& stem) const;
  std::optional<Norm> norm(const std::string& stem, uint64_t size, const Architecture& row, bool gguf);

  // "stem.weight" and "stem.bias" of a convolution, all its kernel's weights of an output as one row.
  std::optional<Linear> convolution(const std::string& stem);
  // "stem.weight", whatever its other sides: rows of `width`.
  std::optional<size_t> rows(const std::string& stem, uint64_t width);

  // `stack` as in quant/tensor_names.h.
  bool has_layer(const std::string& stack, uint32_t layer) const {
    return by_layer_.contains({stack, layer});
  }
  // Of the layer, and neither found nor a buffer.
  std::vector<std::string> unused(const std::string& stack, uint32_t layer) const;
  // Matrices outside all layers that were not found, by the model's own names.
  std::vector<std::string> unused_outside() const;
  bool has(const std::string& name) const { return index_.contains(name); }

 private:
  const TensorSource& source_;
  std::map<std::string, size_t> index_;
  std::map<std::pair<std::string, uint32_t>, std::vector<size_t>> by_layer_;
  std::set<size_t> transposed_, used_;
};

}  // namespace llmcodec
