// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/moment_record.h"

#include <algorithm>
#include <cmath>

#include "quant/tensor_names.h"
#include "tensor/tensor_role.h"

namespace llmcodec {

void MomentRecord::add(const Linear& linear, std::vector<float> inputs, const std::vector<double>& outputs) {
  std::vector<float> columns = std::move(inputs), rows(outputs.begin(), outputs.end());
  if (linear.transposed) columns.swap(rows);
  for (const std::vector<float>* side : {&columns, &rows})
    finite_ = finite_ && std::ranges::all_of(*side, [](float m) { return std::isfinite(m); });
  // Behind a matrix of zeros all inputs matter alike: not at all.
  if (std::ranges::none_of(columns, [](float m) { return m > 0; })) std::ranges::fill(columns, 1.0F);
  const std::string& own = source_.tensors()[linear.tensor].name;
  const auto name = gguf_name(own);
  importance_.append(name ? name->name : own, columns);
  std::vector<float>& all = rows_[linear.tensor];
  all.insert(all.end(), rows.begin(), rows.end());
}

// Nothing follows from a matrix whose outputs go nowhere.
bool MomentRecord::has_dead_matrix(size_t tensor) const {
  const uint64_t rows = tensor_matrices(source_.tensors()[tensor])->rows;
  const std::span<const float> moments = rows_.at(tensor);
  for (size_t first = 0; first < moments.size(); first += rows) {
    if (std::ranges::none_of(moments.subspan(first, rows), [](float m) { return m > 0; })) return true;
  }
  return moments.empty();
}

std::optional<Importance> MomentRecord::result() && {
  if (!finite_) return std::nullopt;
  for (const auto& [tensor, moments] : rows_) {
    if (!has_dead_matrix(tensor)) importance_.append_outputs(source_.tensors()[tensor].name, moments);
  }
  return std::move(importance_);
}

}  // namespace llmcodec
