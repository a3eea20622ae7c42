// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/named_tensors.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "quant/tensor_names.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

// Masks and tables of angles that older files have beside the weights.
bool is_computed(const TensorInfo& info, std::string_view rest) {
  constexpr std::array<std::string_view, 5> kNames = {"attn.bias", "attn.masked_bias", "attention.bias",
                                                      "attention.masked_bias",
                                                      "attention.rotary_emb.inv_freq"};
  return tensor_role(info) == TensorRole::kBuffer || std::ranges::find(kNames, rest) != kNames.end();
}

}  // namespace

NamedTensors::NamedTensors(const TensorSource& source) : source_(source) {
  for (size_t i = 0; i < source.tensors().size(); ++i) {
    const std::string& own = source.tensors()[i].name;
    if (const auto layer = layer_name(own)) {
      by_layer_[{layer->stack, layer->layer}].push_back(i);
      index_.emplace(fmt::format("{}blk.{}.{}", layer->stack, layer->layer, layer->rest), i);
    }
    if (const auto name = gguf_name(own)) {
      index_.emplace(name->expert ? fmt::format("{}#{}", name->name, *name->expert) : name->name, i);
    } else if (const auto other_way = transposed_name(own)) {
      index_.emplace(*other_way, i);
      transposed_.insert(i);
    }
  }
}

std::optional<size_t> NamedTensors::find(const std::string& name) {
  const auto at = index_.find(name);
  if (at == index_.end()) return std::nullopt;
  used_.insert(at->second);
  return at->second;
}

std::optional<size_t> NamedTensors::vector(const std::string& name, uint64_t size) {
  const auto index = find(name);
  if (!index || source_.tensors()[*index].elements() != size) return std::nullopt;
  return index;
}

std::optional<Linear> NamedTensors::linear(const std::string& stem, uint64_t outputs, uint64_t inputs,
                                           const std::string& after) {
  const auto index = find(stem + ".weight" + after);
  if (!index) return std::nullopt;
  const auto shape = tensor_matrices(source_.tensors()[*index]);
  const bool may_be_stacked = stem.ends_with("_exps") && after.empty();
  if (!shape || (shape->matrices != 1 && !may_be_stacked)) return std::nullopt;
  Linear found;
  found.tensor = *index;
  found.transposed = transposed_.contains(*index);
  found.inputs = found.transposed ? shape->rows : shape->cols;
  found.outputs = found.transposed ? shape->cols : shape->rows;
  if ((outputs > 0 && found.outputs != outputs) || (inputs > 0 && found.inputs != inputs))
    return std::nullopt;
  found.bias = find(stem + ".bias" + after);
  if (found.bias && source_.tensors()[*found.bias].elements() != shape->matrices * found.outputs)
    return std::nullopt;
  return found;
}

uint64_t NamedTensors::stacked(const std::string& stem) const {
  const auto at = index_.find(stem + ".weight");
  if (at == index_.end()) return 0;
  const auto shape = tensor_matrices(source_.tensors()[at->second]);
  return shape ? shape->matrices : 0;
}

std::optional<Norm> NamedTensors::norm(const std::string& stem, uint64_t size, const Architecture& row,
                                       bool gguf) {
  Norm norm{row.norm, row.norms_plus_one && !gguf, vector(stem + ".weight", size), std::nullopt};
  if (!norm.gains) return std::nullopt;
  norm.bias = vector(stem + ".bias", size);
  return norm;
}

std::optional<Linear> NamedTensors::convolution(const std::string& stem) {
  const auto index = find(stem + ".weight");
  if (!index) return std::nullopt;
  const auto shape = one_matrix(source_.tensors()[*index].shape);
  if (!shape) return std::nullopt;
  Linear found{*index, 0, shape->cols, shape->rows, false, find(stem + ".bias")};
  if (found.bias && source_.tensors()[*found.bias].elements() != found.outputs) return std::nullopt;
  return found;
}

std::optional<size_t> NamedTensors::rows(const std::string& stem, uint64_t width) {
  const auto index = find(stem + ".weight");
  if (!index || transposed_.contains(*index)) return std::nullopt;
  const TensorInfo& info = source_.tensors()[*index];
  return info.shape.size() > 1 && info.shape.back() == width && info.elements() > 0 ? index : std::nullopt;
}

std::vector<std::string> NamedTensors::unused(const std::string& stack, uint32_t layer) const {
  std::vector<std::string> names;
  const auto at = by_layer_.find({stack, layer});
  if (at == by_layer_.end()) return names;
  for (const size_t index : at->second) {
    const TensorInfo& info = source_.tensors()[index];
    const std::string rest = layer_name(info.name)->rest;
    if (!used_.contains(index) && !is_computed(info, rest)) names.push_back(rest);
  }
  return names;
}

std::vector<std::string> NamedTensors::unused_outside() const {
  std::vector<std::string> names;
  for (size_t i = 0; i < source_.tensors().size(); ++i) {
    const TensorInfo& info = source_.tensors()[i];
    if (!used_.contains(i) && !layer_name(info.name) && tensor_role(info) == TensorRole::kMatrix)
      names.push_back(info.name);
  }
  return names;
}

}  // namespace llmcodec
