// SPDX-License-Identifier: BSD-3-Clause
// One tensor on its way through compression: where its weights are, its plan, its scales.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "coding/picture_coder.h"
#include "plan/tensor_plan.h"
#include "quant/importance.h"
#include "quant/moment_file.h"
#include "tensor/matrix_shape.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

// What is known about the inputs and outputs of the model's layers; both may be absent.
struct InputMoments {
  std::optional<Importance> importance;
  bool estimated = false;  // what `importance` knows about outputs comes from the weights, not from a file
  std::unique_ptr<MomentFile> hessian;
};

// Whether anything is known about the inputs of a codable tensor; about how much its outputs matter.
Result<bool> knows_inputs(const InputMoments& moments, const TensorInfo& info);
Result<bool> knows_outputs(const InputMoments& moments, const TensorInfo& info);

// What an archive stores of a tensor's scales: a part's name and packed bytes.
struct ScalePart {
  std::string name;
  std::vector<std::byte> bytes;
};

struct TensorJob {
  size_t index = 0;  // in the source
  const TensorPlan* plan = nullptr;
  MatrixShape shape;
  std::vector<MatrixScales> scales;    // one per matrix
  std::vector<ScalePart> scale_parts;  // of all matrices, in the order in which they are written
  ColumnOrder column_order = ColumnOrder::kNone;
  std::vector<std::vector<uint32_t>> order;  // one per matrix; empty: identity
  std::optional<size_t> hessian_group;       // closed loop
  // What errors of one (relative) step cost the model: the mean over all weights of E[g_i^2] E[x_j^2] of
  // their output and input times the square of their scale. Only where both moments are known.
  std::optional<double> damage;
  uint64_t side_bytes() const;
};

// Fits the scales of all matrices. Errors name the tensor; InvalidArgument with the index for NaN or Inf.
Result<TensorJob> fit_tensor(const TensorSource& source, size_t index, const TensorPlan& plan,
                             const InputMoments& moments);

// The closed loop of matrix `m` of a job; nullptr when the job has none.
Result<std::unique_ptr<Feedback>> make_feedback(const TensorJob& job, uint64_t m,
                                                const InputMoments& moments);

// The stages of the job's plan for a matrix of `rows` rows (the job's, or a sample's). InvalidArgument for a
// plan that the layout or codec cannot follow.
Result<CodedTensor> make_stages(const TensorJob& job, uint64_t rows, const Codec& codec);

}  // namespace llmcodec
