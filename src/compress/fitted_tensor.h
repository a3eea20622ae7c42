// SPDX-License-Identifier: BSD-3-Clause
// One tensor on its way through compression, once its scales are fitted.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "coding/tensor_parts.h"
#include "compress/input_moments.h"
#include "plan/tensor_plan.h"
#include "quant/feedback.h"
#include "tensor/matrix_shape.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

struct FittedTensor {
  size_t index = 0;                  // in source and plan
  uint64_t copies = 0;               // tensors that are the same as this one, and stored by it
  const TensorPlan* plan = nullptr;  // borrowed
  MatrixShape shape;
  std::vector<MatrixScales> scales;  // one per matrix
  float largest_weight = 0;          // in magnitude
  std::vector<Part> scale_parts;     // of all matrices
  ColumnOrder column_order = ColumnOrder::kNone;
  std::vector<std::vector<uint32_t>> order;  // one per matrix; empty: identity
  std::optional<size_t> hessian_group;       // closed loop
  double damping = 0;                        // of its second moments
  // What errors of one (relative) step cost the model: the mean over all weights of E[g_i^2] E[x_j^2] of
  // their output and input times the square of their scale. Only where both moments are known.
  std::optional<double> damage;

  uint64_t side_bytes() const;  // of the scales, not packed
  // The recipe of its matrices, or of `rows` rows of them.
  Result<TensorRecipe> recipe(uint64_t rows, const PictureSettings& settings, const Codec& codec) const;
};

// Before its weights are known: scales of the right number, all zero.
FittedTensor unfitted_tensor(const TensorInfo& info, size_t index, const TensorPlan& plan);

// Before its scales are: what plan and moments say of it.
Result<FittedTensor> unscaled_tensor(const TensorInfo& info, size_t index, const TensorPlan& plan,
                                     const InputMoments& moments);

// Fits the scales of all matrices. Errors name the tensor; InvalidArgument with the index for NaN or Inf.
Result<FittedTensor> fit_tensor(const TensorSource& source, size_t index, const TensorPlan& plan,
                                const InputMoments& moments);

// The closed loop of matrix `m`, which the tensor must have.
Result<Feedback> make_feedback(const FittedTensor& tensor, uint64_t m, const InputMoments& moments);

uint64_t total_weights(std::span<const FittedTensor> tensors);

}  // namespace llmcodec
