// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/product_moments.h"

#include <algorithm>
#include <cmath>

#include "quant/tensor_row_reader.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

struct Energies {
  std::vector<double> rows, cols;  // sums of squares
};

Result<Energies> energies_of(const TensorSource& source, size_t tensor) {
  const MatrixShape shape = *tensor_matrices(source.tensors()[tensor]);
  TensorRowReader reader(source, tensor, shape, 0);
  Energies energies{std::vector<double>(shape.rows, 0), std::vector<double>(shape.cols, 0)};
  LLMC_RETURN_IF_ERROR(for_each_row_block(reader, [&](size_t first, MatrixView<const float> block) {
    for (size_t r = 0; r < block.rows; ++r) {
      const std::span<const float> row = block.row(r);
      for (size_t c = 0; c < row.size(); ++c) {
        const double square = double{row[c]} * row[c];
        energies.rows[first + r] += square;
        energies.cols[c] += square;
      }
    }
    return Status::ok();
  }));
  return energies;
}

// As moments; empty when they are all zero, or past what moments can hold.
std::vector<float> moments_of(const std::vector<double>& energies) {
  std::vector<float> moments(energies.begin(), energies.end());
  const bool finite = std::ranges::all_of(moments, [](float m) { return std::isfinite(m); });
  const bool live = std::ranges::any_of(moments, [](float m) { return m > 0; });
  return finite && live ? moments : std::vector<float>();
}

// Divides by the root of the product's energy, that of its components one by one: half-way between products of which
// errors count alike and those of which they count by the product's size.
void weigh_by_product(std::vector<float>* a, std::vector<float>* b) {
  double energy = 0;
  for (size_t k = 0; k < a->size(); ++k) energy += double{(*a)[k]} * (*b)[k];
  if (!(energy > 0)) return;
  const double root = std::sqrt(energy);
  for (std::vector<float>* moments : {a, b}) {
    for (float& m : *moments) m = static_cast<float>(m / root);
  }
}

}  // namespace

Result<bool> append_product_moments(const TensorSource& source, const AdapterPair& pair,
                                    Importance* importance) {
  LLMC_ASSIGN_OR_RETURN(const Energies down, energies_of(source, pair.down));
  LLMC_ASSIGN_OR_RETURN(const Energies up, energies_of(source, pair.up));
  std::vector<float> inputs_of_up = moments_of(down.rows), outputs_of_down = moments_of(up.cols);
  if (inputs_of_up.empty() || outputs_of_down.empty()) return false;
  weigh_by_product(&inputs_of_up, &outputs_of_down);
  importance->append(source.tensors()[pair.up].name, inputs_of_up);
  importance->append_outputs(source.tensors()[pair.down].name, outputs_of_down);
  return true;
}

}  // namespace llmcodec
