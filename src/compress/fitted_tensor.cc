// SPDX-License-Identifier: BSD-3-Clause
#include "compress/fitted_tensor.h"

#include <algorithm>

#include "archive/packing.h"
#include "quant/tensor_names.h"
#include "quant/tensor_row_reader.h"
#include "quant/token_rank.h"

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
  ClosedLoopColumns columns;
  std::vector<float> inputs;   // E[x_j^2]
  std::vector<float> outputs;  // E[g_i^2]
};

Status know_inputs(const TensorInfo& info, const TensorJob& job, uint64_t m, const InputMoments& moments,
                   KnownMatrix& known) {
  if (job.plan->scales.kind != ScaleKind::kDual) return Status::ok();
  if (job.hessian_group) {
    LLMC_ASSIGN_OR_RETURN(const std::vector<float> h, moments.hessian->read(*job.hessian_group));
    LLMC_ASSIGN_OR_RETURN(known.columns, closed_loop_columns({h.data(), job.shape.cols, job.shape.cols},
                                                             {.damping = damping_of(info.name)}));
    for (size_t j = 0; j < job.shape.cols; ++j) known.inputs.push_back(h[j * job.shape.cols + j]);
    return Status::ok();
  }
  if (!moments.importance) return Status::ok();
  LLMC_ASSIGN_OR_RETURN(const ImportanceEntry entry,
                        moments.importance->find(info.name, job.shape.cols, job.shape.matrices));
  if (!entry.found()) return Status::ok();
  LLMC_ASSIGN_OR_RETURN(known.columns.steps,
                        importance_column_steps(entry.matrix(m), {.damping = damping_of(info.name)}));
  known.inputs.assign(entry.matrix(m).begin(), entry.matrix(m).end());
  return Status::ok();
}

Result<KnownMatrix> known_matrix(const TensorInfo& info, const TensorJob& job, uint64_t m,
                                 const InputMoments& moments) {
  KnownMatrix known;
  LLMC_RETURN_IF_ERROR(know_inputs(info, job, m, moments, known));
  if (!moments.importance) return known;
  LLMC_ASSIGN_OR_RETURN(const ImportanceEntry entry,
                        moments.importance->find_outputs(info.name, job.shape.rows, job.shape.matrices));
  if (entry.found()) known.outputs.assign(entry.matrix(m).begin(), entry.matrix(m).end());
  return known;
}

// Factors of the row scales: finer steps for outputs that matter, coarser ones for rare tokens.
Result<std::vector<float>> row_factors(const TensorJob& job, const KnownMatrix& known) {
  const ScaleKind kind = job.plan->scales.kind;
  if (kind != ScaleKind::kRow && kind != ScaleKind::kDual) return std::vector<float>();
  std::vector<float> factors(job.shape.rows, 1);
  if (job.plan->token_rank > 0)
    factors = token_rank_factors(job.shape.rows, {.exponent = job.plan->token_rank});
  if (!known.outputs.empty()) {
    LLMC_ASSIGN_OR_RETURN(const std::vector<float> steps, output_row_steps(known.outputs));
    for (size_t i = 0; i < factors.size(); ++i) factors[i] *= steps[i];
  }
  return factors;
}

double mean_of_products(std::span<const float> moments, std::span<const float> scales) {
  double sum = 0;
  for (size_t i = 0; i < moments.size(); ++i) sum += double{moments[i]} * scales[i] * scales[i];
  return sum / static_cast<double>(moments.size());
}

void add_damage(const KnownMatrix& known, const MatrixScales& scales, TensorJob& job) {
  if (known.inputs.empty() || known.outputs.empty()) return;
  const double rows = mean_of_products(known.outputs, decode_all(scales.row_code, scales.row_codes));
  const double cols = mean_of_products(known.inputs, decode_all(scales.col_code, scales.col_codes));
  job.damage = job.damage.value_or(0) + rows * cols / static_cast<double>(job.shape.matrices);
}

Result<MatrixScales> fit_matrix(const TensorSource& source, TensorJob& job, uint64_t m,
                                const InputMoments& moments) {
  const TensorInfo& info = source.tensors()[job.index];
  LLMC_ASSIGN_OR_RETURN(const KnownMatrix known, known_matrix(info, job, m, moments));
  LLMC_ASSIGN_OR_RETURN(const std::vector<float> factors, row_factors(job, known));
  TensorRowReader reader(source, job.index, job.shape, m);
  ScaleOptions options;
  options.spec = job.plan->scales;
  options.per_octave = kScaleCodesPerOctave;
  options.asymmetric = job.plan->asymmetric;
  options.column_steps = known.columns.steps;
  options.column_classes = known.columns.classes;
  options.row_factors = factors;
  if (options.spec.kind == ScaleKind::kRow || options.spec.kind == ScaleKind::kDual)
    options.row_exponent = job.plan->row_exponent;
  if (options.spec.kind == ScaleKind::kDual && known.columns.steps.empty())
    options.column_exponent = job.plan->column_exponent;
  LLMC_ASSIGN_OR_RETURN(MatrixScales scales, fit_scales(reader, options));
  // Known inputs give columns of different size; sorted, neighbours in the scan are alike and contexts fit
  // better. The closed loop has an order of its own.
  if (!known.columns.steps.empty())
    job.column_order = known.columns.classes.empty() ? ColumnOrder::kColScale : ColumnOrder::kColClass;
  job.order.push_back(coding_order(job.column_order, scales.col_codes));
  add_damage(known, scales, job);
  return scales;
}

ScalesStage scales_stage(const TensorJob& job) {
  ScalesStage stage;
  stage.spec = job.plan->scales;
  stage.asymmetric = job.plan->asymmetric;
  stage.order = job.column_order;
  for (const MatrixScales& scales : job.scales) {
    const ScaleKind kind = stage.spec.kind;
    if (kind == ScaleKind::kTensor) stage.tensor_scale.push_back(scales.tensor_scale);
    if (kind == ScaleKind::kRow || kind == ScaleKind::kDual) stage.row_code.push_back(scales.row_code);
    if (kind == ScaleKind::kColumn || kind == ScaleKind::kDual) stage.col_code.push_back(scales.col_code);
    if (kind == ScaleKind::kGroup) stage.group_code.push_back(scales.group_code);
  }
  return stage;
}

// Pictures per segment: few enough for memory, enough that starting an encoder process does not matter. Never
// more than four: FFmpeg 8's libvvenc gives an empty stream, without an error, for 7 to 10 intra pictures (1
// to 6 and 12 are right).
uint32_t segment_pictures(const SpatialLayout& layout) {
  constexpr uint64_t kSegmentWeights = 4 << 20, kMaxPictures = 4;
  const uint64_t picture = uint64_t{layout.width} * layout.height;
  return static_cast<uint32_t>(
      std::clamp<uint64_t>(kSegmentWeights / picture, 1, std::min(layout.pictures(), kMaxPictures)));
}

template <class T>
std::vector<std::byte> packed(const std::vector<T>& values) {
  return pack(std::as_bytes(std::span(values)));
}

std::vector<ScalePart> packed_scales(const std::vector<MatrixScales>& matrices) {
  std::vector<uint8_t> rows, cols, groups;
  std::vector<uint16_t> zeros;
  for (const MatrixScales& scales : matrices) {
    rows.insert(rows.end(), scales.row_codes.begin(), scales.row_codes.end());
    cols.insert(cols.end(), scales.col_codes.begin(), scales.col_codes.end());
    groups.insert(groups.end(), scales.group_codes.begin(), scales.group_codes.end());
    zeros.insert(zeros.end(), scales.zeros.begin(), scales.zeros.end());
  }
  std::vector<ScalePart> parts;
  if (!rows.empty()) parts.push_back({"row_scale", packed(rows)});
  if (!cols.empty()) parts.push_back({"col_scale", packed(cols)});
  if (!groups.empty()) parts.push_back({"group_scale", packed(groups)});
  if (!zeros.empty()) parts.push_back({"zero", packed(zeros)});
  return parts;
}

}  // namespace

Result<bool> knows_inputs(const InputMoments& moments, const TensorInfo& info) {
  if (moments.hessian && moments.hessian->find(info.name)) return true;
  if (!moments.importance) return false;
  const auto shape = matrix_shape(info.shape);
  LLMC_ASSIGN_OR_RETURN(const ImportanceEntry entry,
                        moments.importance->find(info.name, shape->cols, shape->matrices));
  return entry.found();
}

Result<bool> knows_outputs(const InputMoments& moments, const TensorInfo& info) {
  if (!moments.importance) return false;
  const auto shape = matrix_shape(info.shape);
  LLMC_ASSIGN_OR_RETURN(const ImportanceEntry entry,
                        moments.importance->find_outputs(info.name, shape->rows, shape->matrices));
  return entry.found();
}

uint64_t TensorJob::side_bytes() const {
  uint64_t bytes = 0;
  for (const MatrixScales& matrix : scales) bytes += matrix.side_bytes();
  return bytes;
}

Result<TensorJob> fit_tensor(const TensorSource& source, size_t index, const TensorPlan& plan,
                             const InputMoments& moments) {
  const TensorInfo& info = source.tensors()[index];
  TensorJob job;
  job.index = index;
  job.plan = &plan;
  job.shape = *matrix_shape(info.shape);  // the plan was checked against the model
  if (moments.hessian && plan.layout == "spectral" && plan.scales.kind == ScaleKind::kDual) {
    job.hessian_group = moments.hessian->find(info.name);
    if (job.hessian_group && moments.hessian->cols(*job.hessian_group) != job.shape.cols)
      return error(ErrorKind::kInvalidArgument, "second moments are for {} inputs, the tensor has {}",
                   moments.hessian->cols(*job.hessian_group), job.shape.cols)
          .in_tensor(info.name);
  }
  for (uint64_t m = 0; m < job.shape.matrices; ++m) {
    auto scales = fit_matrix(source, job, m, moments);
    if (!scales.is_ok()) return std::move(scales).error().in_tensor(info.name).in_file(source.file(index));
    job.scales.push_back(std::move(scales).value());
  }
  job.scale_parts = packed_scales(job.scales);
  return job;
}

Result<std::unique_ptr<Feedback>> make_feedback(const TensorJob& job, uint64_t m,
                                                const InputMoments& moments) {
  if (!job.hessian_group) return std::unique_ptr<Feedback>();
  LLMC_ASSIGN_OR_RETURN(const std::vector<float> h, moments.hessian->read(*job.hessian_group));
  LLMC_ASSIGN_OR_RETURN(Feedback feedback,
                        Feedback::create({h.data(), job.shape.cols, job.shape.cols}, job.order[m],
                                         {.damping = damping_of(job.plan->name)}));
  return std::make_unique<Feedback>(std::move(feedback));
}

Result<CodedTensor> make_stages(const TensorJob& job, uint64_t rows, const Codec& codec) {
  const TensorPlan& plan = *job.plan;
  CodedTensor tensor;
  tensor.scales = scales_stage(job);
  tensor.codec = {
      codec.info().name, codec.spec(), codec.info().version, codec.info().stream_format, plan.quality, 1, {}};
  if (plan.layout == "spectral") {
    SpectralStage stage;
    LLMC_ASSIGN_OR_RETURN(stage.layout, SpectralLayout::make(rows, job.shape.cols, plan.outputs_per_block));
    stage.step = static_cast<float>(plan.step);
    tensor.layout = stage;
  } else {
    SpatialStage stage;
    LLMC_ASSIGN_OR_RETURN(stage.layout, SpatialLayout::make(rows, job.shape.cols));
    stage.affine = AffineParams::centred(plan.bit_depth, static_cast<float>(plan.step));
    tensor.codec.pictures_per_segment = segment_pictures(stage.layout);
    tensor.layout = stage;
  }
  return tensor;
}

}  // namespace llmcodec
