// SPDX-License-Identifier: BSD-3-Clause
#include "compress/fitted_tensor.h"

#include <algorithm>

#include "base/error.h"
#include "quant/tensor_row_reader.h"
#include "quant/token_rank.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

// Errors of 4 % in the scales are smaller than what is known of the best ones; twice as fine costs one more
// bit each.
constexpr uint32_t kScaleCodesPerOctave = 8;

// What is added to the second moments, of their mean. A tied embedding is looked up as well: a tenth stands
// for inputs that hit one dimension alone (measured at 3 bits).
double damping_of(std::string_view name) {
  return is_vocabulary(name) ? 0.1 : 0.01;
}

// What is known about the inputs and outputs of a matrix; empty where nothing is.
struct KnownMatrix {
  bool factor = false;  // what is known are moments of a product
  ClosedLoopColumns columns;
  std::vector<float> inputs;   // E[x_j^2]
  std::vector<float> outputs;  // E[g_i^2]
};

// How finely the lines of a factor are wanted: as the square root of the energy that they meet in the product. What
// meets nearly nothing still keeps a step that is at most ten times the mean's.
Result<std::vector<float>> factor_steps(std::span<const float> moments) {
  return importance_column_steps(moments, {.exponent = 1, .damping = 0.01});
}

Status know_inputs(const TensorInfo& info, const FittedTensor& tensor, uint64_t m,
                   const InputMoments& moments, KnownMatrix& known) {
  const ScaleKind kind = tensor.plan->scales.kind;
  if (kind != ScaleKind::kDual && !(known.factor && kind == ScaleKind::kColumn)) return Status::ok();
  if (tensor.hessian_group) {
    LLMC_ASSIGN_OR_RETURN(const std::vector<float> h, moments.hessian->read(*tensor.hessian_group));
    LLMC_ASSIGN_OR_RETURN(known.columns, closed_loop_columns({h.data(), tensor.shape.cols, tensor.shape.cols},
                                                             {.damping = tensor.damping}));
    for (size_t j = 0; j < tensor.shape.cols; ++j) known.inputs.push_back(h[j * tensor.shape.cols + j]);
    return Status::ok();
  }
  if (!moments.importance) return Status::ok();
  LLMC_ASSIGN_OR_RETURN(const ImportanceEntry entry,
                        moments.importance->find(info.name, tensor.shape.cols, tensor.shape.matrices));
  if (!entry.found()) return Status::ok();
  LLMC_ASSIGN_OR_RETURN(known.columns.steps,
                        known.factor ? factor_steps(entry.matrix(m))
                                     : importance_column_steps(entry.matrix(m), {.damping = tensor.damping}));
  known.inputs.assign(entry.matrix(m).begin(), entry.matrix(m).end());
  return Status::ok();
}

Result<KnownMatrix> known_matrix(const TensorInfo& info, const FittedTensor& tensor, uint64_t m,
                                 const InputMoments& moments) {
  KnownMatrix known;  // first of all whether it is a factor, which decides how the rest is read
  known.factor = moments.factors.contains(info.name);
  LLMC_RETURN_IF_ERROR(know_inputs(info, tensor, m, moments, known));
  if (!moments.importance) return known;
  LLMC_ASSIGN_OR_RETURN(
      const ImportanceEntry entry,
      moments.importance->find_outputs(info.name, tensor.shape.rows, tensor.shape.matrices));
  if (entry.found()) known.outputs.assign(entry.matrix(m).begin(), entry.matrix(m).end());
  return known;
}

// Factors of the row scales: finer steps for outputs that matter, coarser ones for rare tokens.
Result<std::vector<float>> row_factors(const FittedTensor& tensor, const KnownMatrix& known) {
  const ScaleKind kind = tensor.plan->scales.kind;
  if (kind != ScaleKind::kRow && kind != ScaleKind::kDual) return std::vector<float>();
  std::vector<float> factors(tensor.shape.rows, 1);
  if (tensor.plan->token_rank > 0)
    factors = token_rank_factors(tensor.shape.rows, {.exponent = tensor.plan->token_rank});
  if (!known.outputs.empty()) {
    LLMC_ASSIGN_OR_RETURN(
        const std::vector<float> steps,
        known.factor ? factor_steps(known.outputs) : output_row_steps(known.outputs, tensor.damping));
    for (size_t i = 0; i < factors.size(); ++i) factors[i] *= steps[i];
  }
  return factors;
}

double mean_of_products(std::span<const float> moments, std::span<const float> scales) {
  double sum = 0;
  for (size_t i = 0; i < moments.size(); ++i) sum += double{moments[i]} * scales[i] * scales[i];
  return sum / static_cast<double>(moments.size());
}

// What an error costs by the rows' scales: E[g_i^2] of each. Of a head all rows together, as if none were finer than others by its
// factor: the gradients by its outputs are p - 1 for the token that is drawn and p for all others, whose squares add up to
// 1 - sum of p^2, and 1 is near enough (docs/decisions/062-heads-by-damage.md, 064).
double row_damage(const KnownMatrix& known, const MatrixScales& scales, std::span<const float> factors,
                  bool vocabulary) {
  std::vector<float> steps = decode_all(scales.row_code, scales.row_codes);
  if (!vocabulary) return mean_of_products(known.outputs, steps);
  for (size_t i = 0; i < factors.size(); ++i) steps[i] /= factors[i];
  const float each = 1 / static_cast<float>(steps.size());
  return mean_of_products(std::vector<float>(steps.size(), each), steps);
}

void add_damage(const KnownMatrix& known, const MatrixScales& scales, std::span<const float> factors,
                bool vocabulary, FittedTensor& tensor) {
  const bool outputs = vocabulary || !known.outputs.empty();
  // The other side of a factor is that of the product, whose errors count alike.
  if (known.factor ? known.inputs.empty() != outputs : known.inputs.empty() || !outputs) return;
  const double rows = outputs ? row_damage(known, scales, factors, vocabulary) : 1;
  const double cols = known.inputs.empty()
                          ? 1
                          : mean_of_products(known.inputs, decode_all(scales.col_code, scales.col_codes));
  tensor.damage = tensor.damage.value_or(0) + rows * cols / static_cast<double>(tensor.shape.matrices);
}

Result<MatrixScales> fit_matrix(const TensorSource& source, FittedTensor& tensor, uint64_t m,
                                const InputMoments& moments) {
  const TensorInfo& info = source.tensors()[tensor.index];
  LLMC_ASSIGN_OR_RETURN(const KnownMatrix known, known_matrix(info, tensor, m, moments));
  LLMC_ASSIGN_OR_RETURN(const std::vector<float> factors, row_factors(tensor, known));
  TensorRowReader reader(source, tensor.index, tensor.shape, m);
  ScaleOptions options;
  options.spec = tensor.plan->scales;
  options.per_octave = kScaleCodesPerOctave;
  options.asymmetric = tensor.plan->asymmetric;
  options.column_steps = known.columns.steps;
  options.column_classes = known.columns.classes;
  options.row_factors = factors;
  if (options.spec.kind == ScaleKind::kRow || options.spec.kind == ScaleKind::kDual)
    options.row_exponent = tensor.plan->row_exponent;
  if (options.spec.kind == ScaleKind::kColumn ||
      (options.spec.kind == ScaleKind::kDual && known.columns.steps.empty()))
    options.column_exponent = tensor.plan->column_exponent;
  LLMC_ASSIGN_OR_RETURN(MatrixScales scales, fit_scales(reader, options, &tensor.largest_weight));
  // Known inputs give columns of different size; sorted, neighbours in the scan are alike and contexts fit
  // better. The closed loop has an order of its own.
  if (!known.columns.steps.empty() && !known.factor)
    tensor.column_order = known.columns.classes.empty() ? ColumnOrder::kColScale : ColumnOrder::kColClass;
  tensor.order.push_back(coding_order(tensor.column_order, scales.col_codes));
  add_damage(known, scales, factors, is_vocabulary(info.local_name()), tensor);
  return scales;
}

}  // namespace

uint64_t FittedTensor::side_bytes() const {
  uint64_t bytes = 0;
  for (const MatrixScales& matrix : scales) bytes += matrix.side_bytes();
  return bytes;
}

Result<TensorRecipe> FittedTensor::recipe(uint64_t rows, const PictureSettings& settings,
                                          const Codec& codec) const {
  return make_recipe(rows, shape.cols, scales_stage(scales, column_order), settings, codec);
}

FittedTensor unfitted_tensor(const TensorInfo& info, size_t index, const TensorPlan& plan) {
  FittedTensor tensor;
  tensor.index = index;
  tensor.plan = &plan;
  tensor.shape = *tensor_matrices(info);  // the plan was checked against the model
  MatrixScales scales;
  scales.spec = plan.scales;
  scales.asymmetric = plan.asymmetric;
  scales.rows = tensor.shape.rows;
  scales.cols = tensor.shape.cols;
  const ScaleKind kind = plan.scales.kind;
  if (kind == ScaleKind::kRow || kind == ScaleKind::kDual) scales.row_codes.resize(scales.rows);
  if (kind == ScaleKind::kColumn || kind == ScaleKind::kDual) scales.col_codes.resize(scales.cols);
  if (kind == ScaleKind::kGroup) scales.group_codes.resize(scales.rows * scales.groups());
  if (plan.asymmetric) scales.zeros.resize(scales.zero_count());
  tensor.scales.assign(tensor.shape.matrices, scales);
  tensor.scale_parts = scales_to_parts(tensor.scales);
  return tensor;
}

Result<FittedTensor> unscaled_tensor(const TensorInfo& info, size_t index, const TensorPlan& plan,
                                     const InputMoments& moments) {
  FittedTensor tensor;
  tensor.index = index;
  tensor.plan = &plan;
  tensor.shape = *tensor_matrices(info);  // the plan was checked against the model
  tensor.damping = damping_of(info.local_name());
  if (moments.hessian && plan.layout == Layout::kSpectral && plan.scales.kind == ScaleKind::kDual) {
    tensor.hessian_group = moments.hessian->find(info.name);
    if (tensor.hessian_group && moments.hessian->cols(*tensor.hessian_group) != tensor.shape.cols)
      return error(ErrorKind::kInvalidArgument, "second moments are for {} inputs, the tensor has {}",
                   moments.hessian->cols(*tensor.hessian_group), tensor.shape.cols)
          .in_tensor(info.name);
  }
  return tensor;
}

Result<FittedTensor> fit_tensor(const TensorSource& source, size_t index, const TensorPlan& plan,
                                const InputMoments& moments) {
  const TensorInfo& info = source.tensors()[index];
  LLMC_ASSIGN_OR_RETURN(FittedTensor tensor, unscaled_tensor(info, index, plan, moments));
  for (uint64_t m = 0; m < tensor.shape.matrices; ++m) {
    auto scales = fit_matrix(source, tensor, m, moments);
    if (!scales.is_ok()) return std::move(scales).error().in_tensor(info.name).in_file(source.file(index));
    tensor.scales.push_back(std::move(scales).value());
  }
  tensor.scale_parts = scales_to_parts(tensor.scales);
  return tensor;
}

Result<Feedback> make_feedback(const FittedTensor& tensor, uint64_t m, const InputMoments& moments) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<float> h, moments.hessian->read(*tensor.hessian_group));
  return Feedback::create({h.data(), tensor.shape.cols, tensor.shape.cols}, tensor.order[m],
                          {.damping = tensor.damping});
}

uint64_t total_weights(std::span<const FittedTensor> tensors) {
  uint64_t weights = 0;
  for (const FittedTensor& tensor : tensors) weights += tensor.shape.weights();
  return weights;
}

}  // namespace llmcodec
