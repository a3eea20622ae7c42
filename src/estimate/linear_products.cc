// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/linear_products.h"

#include <algorithm>

#include "base/checked_math.h"
#include "base/ordered_run.h"
#include "quant/subtract_product.h"
#include "quant/tensor_row_reader.h"
#include "tensor/tensor_role.h"

namespace llmcodec {

// Energies by input, where they are asked for.
struct LinearProducts::Asked {
  std::span<const float> weights;  // per output
  std::vector<double>* energy = nullptr;
};

namespace {

constexpr size_t kUnit = 8;  // rows of a tile (quant/subtract_product.cc)

MatrixShape stored_shape(const Linear& linear) {
  return linear.transposed ? MatrixShape{1, linear.inputs, linear.outputs}
                           : MatrixShape{1, linear.outputs, linear.inputs};
}

// Minus the weights, as subtract_product() wants them.
void negate(MatrixView<float> block) {
  for (size_t r = 0; r < block.rows; ++r) {
    for (float& w : block.row(r)) w = -w;
  }
}

}  // namespace

// Stored rows are outputs of the product. Sizes of blocks do not depend on the number of threads: sums over rows are
// made of the sums of blocks.
Status LinearProducts::along_rows(const Linear& linear, MatrixView<const float> from, const Asked& asked,
                                  MatrixView<float> to) {
  constexpr size_t kBlocks = 32;
  const MatrixShape shape = stored_shape(linear);
  TensorRowReader reader(source_, linear.tensor, shape, linear.matrix);
  const size_t most = std::max(kUnit, kDefaultBlockWeights / shape.cols / kUnit * kUnit);
  const size_t step = std::min(most, align_up(ceil_div(shape.rows, kBlocks), kUnit));
  OwnedMatrix<double> energy(ceil_div(shape.rows, step), asked.energy != nullptr ? shape.cols : 0);
  LLMC_RETURN_IF_ERROR(for_all(threads_, energy.view().rows, [&](size_t b) -> Status {
    const size_t first = b * step, rows = std::min<size_t>(step, shape.rows - first);
    OwnedMatrix<float> block(rows, shape.cols);
    LLMC_RETURN_IF_ERROR(reader.read_rows(first, block.view()));
    const std::span<double> sums = energy.view().row(b);
    for (size_t r = 0; r < rows && asked.energy != nullptr; ++r) {
      const std::span<const float> row = block.view().row(r);
      const double weight = asked.weights.empty() ? 1 : double{asked.weights[first + r]};
      for (size_t c = 0; c < sums.size(); ++c) sums[c] += weight * row[c] * row[c];
    }
    negate(block.view());
    subtract_product(to.block(first, 0, rows, from.cols), {block.view().data, shape.cols, 1}, from);
    return Status::ok();
  }));
  for (size_t b = 0; b < energy.view().rows && asked.energy != nullptr; ++b) {
    const std::span<const double> sums = energy.view().row(b);
    for (size_t c = 0; c < sums.size(); ++c) (*asked.energy)[c] += sums[c];
  }
  return Status::ok();
}

// Stored columns are outputs of the product: rows are added block after block.
Status LinearProducts::across_rows(const Linear& linear, MatrixView<const float> from, const Asked& asked,
                                   MatrixView<float> to) {
  constexpr size_t kParts = 16;
  const MatrixShape shape = stored_shape(linear);
  TensorRowReader reader(source_, linear.tensor, shape, linear.matrix);
  const size_t step = std::max(kUnit, 8 * kDefaultBlockWeights / shape.cols);
  const size_t part = align_up(ceil_div(shape.cols, kParts), kUnit);
  for (size_t first = 0; first < shape.rows; first += step) {
    const size_t rows = std::min<size_t>(step, shape.rows - first);
    OwnedMatrix<float> block(rows, shape.cols);
    LLMC_RETURN_IF_ERROR(for_all(threads_, ceil_div(rows, kUnit), [&](size_t unit) -> Status {
      const size_t at = unit * kUnit, count = std::min(kUnit, rows - at);
      const MatrixView<float> piece = block.view().block(at, 0, count, shape.cols);
      LLMC_RETURN_IF_ERROR(reader.read_rows(first + at, piece));
      for (size_t r = 0; r < count && asked.energy != nullptr; ++r) {
        double sum = 0;
        for (size_t c = 0; c < shape.cols; ++c)
          sum += (asked.weights.empty() ? 1 : double{asked.weights[c]}) * piece.at(r, c) * piece.at(r, c);
        (*asked.energy)[first + at + r] = sum;
      }
      negate(piece);
      return Status::ok();
    }));
    static_cast<void>(for_all(threads_, ceil_div(shape.cols, part), [&](size_t p) {
      const size_t begin = p * part, count = std::min<size_t>(part, shape.cols - begin);
      subtract_product(to.block(begin, 0, count, from.cols), {block.view().data + begin, 1, shape.cols},
                       from.block(first, 0, rows, from.cols));
      return Status::ok();
    }));
  }
  return Status::ok();
}

Status LinearProducts::add_bias(const Linear& linear, Vectors* sum) const {
  if (!linear.bias) return Status::ok();
  std::vector<float> bias(linear.outputs);
  LLMC_RETURN_IF_ERROR(source_.read_f32(*linear.bias, linear.matrix * linear.outputs, bias));
  for (size_t r = 0; r < bias.size(); ++r) {
    for (float& v : sum->view().row(r)) v += bias[r];
  }
  return Status::ok();
}

Status LinearProducts::multiply(const Linear& linear, MatrixView<const float> from, const Asked& asked,
                                MatrixView<float> to) {
  weights_read_ += linear.outputs * linear.inputs;
  return linear.transposed ? across_rows(linear, from, asked, to) : along_rows(linear, from, asked, to);
}

Result<Vectors> LinearProducts::forward(const Linear& linear, const Vectors& inputs) {
  return forward(linear, inputs, {}, nullptr);
}

Result<Vectors> LinearProducts::forward(const Linear& linear, const Vectors& inputs,
                                        std::span<const float> weights, std::vector<double>* energy) {
  Vectors out(linear.outputs);
  if (energy != nullptr) energy->assign(linear.inputs, 0);
  const Asked asked{weights, energy};
  LLMC_RETURN_IF_ERROR(multiply(linear, inputs.view(), asked, out.view()));
  LLMC_RETURN_IF_ERROR(add_bias(linear, &out));
  return out;
}

Status LinearProducts::forward(const Linear& linear, MatrixView<const float> inputs,
                               MatrixView<float> outputs) {
  return multiply(linear, inputs, {}, outputs);
}

Result<Vectors> LinearProducts::backward(const Linear& linear, const Vectors& gradients) {
  Vectors out(linear.inputs);
  LLMC_RETURN_IF_ERROR(linear.transposed ? along_rows(linear, gradients.view(), {}, out.view())
                                         : across_rows(linear, gradients.view(), {}, out.view()));
  return out;
}

}  // namespace llmcodec
