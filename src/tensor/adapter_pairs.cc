// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/adapter_pairs.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

// What has a higher rank is no low-rank update, and the energy of its product costs the square of it.
constexpr uint64_t kMaxRank = 512;

// What tells the names of the two factors apart.
struct Spelling {
  std::string_view down, up;
};
constexpr Spelling kSpellings[] = {
    {"lora_A", "lora_B"},                                // PEFT, diffusers
    {"lora_embedding_A", "lora_embedding_B"},            // PEFT
    {"lora_a", "lora_b"},                                // llama.cpp
    {"lora_down", "lora_up"},                            // kohya
    {"lora.down", "lora.up"},                            // diffusers until 2023
    {"lora_linear_layer.down", "lora_linear_layer.up"},  // diffusers, text encoders
};

// The name of B, if `name` is one of A's.
std::optional<std::string> partner_name(const std::string& name) {
  for (const Spelling& spelling : kSpellings) {
    const size_t at = name.rfind(spelling.down);
    if (at == std::string::npos) continue;
    const size_t end = at + spelling.down.size();
    if (end != name.size() && name[end] != '.') continue;
    return name.substr(0, at) + std::string(spelling.up) + name.substr(end);
  }
  return std::nullopt;
}

std::optional<MatrixShape> factor_shape(const TensorInfo& info) {
  if (tensor_role(info) != TensorRole::kAdapter || !dtype_info(info.dtype).floating) return std::nullopt;
  const auto shape = tensor_matrices(info);
  return shape && shape->matrices == 1 ? shape : std::nullopt;
}

}  // namespace

std::vector<AdapterPair> adapter_pairs(const std::vector<TensorInfo>& tensors) {
  std::map<std::string_view, size_t> by_name;
  for (size_t i = 0; i < tensors.size(); ++i) by_name[tensors[i].name] = i;
  std::vector<AdapterPair> pairs;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const auto name = partner_name(tensors[i].name);
    const auto partner = name ? by_name.find(*name) : by_name.end();
    if (partner == by_name.end()) continue;
    const auto down = factor_shape(tensors[i]), up = factor_shape(tensors[partner->second]);
    if (down && up && down->rows == up->cols && up->cols <= kMaxRank) pairs.push_back({i, partner->second});
  }
  return pairs;
}

}  // namespace llmcodec
