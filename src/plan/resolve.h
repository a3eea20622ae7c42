// SPDX-License-Identifier: BSD-3-Clause
// The one place where what was left open is decided. Pure functions: the same draft and facts give the same
// plan.
//
// Example (const std::vector<TensorDraft>& drafts, const PlanFacts& facts):
//
//   LLMC_ASSIGN_OR_RETURN(const Plan plan, resolve(drafts, facts));
//   std::vector<TensorCost> costs(plan.tensors.size());        // known once the plan's scales are fitted
//   const std::vector<double> octaves = octaves_by_damage(plan, costs);
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "llmcodec/codec.h"
#include "llmcodec/model.h"
#include "plan/tensor_plan.h"
#include "tensor/matrix_shape.h"

namespace llmcodec {

// What is known of a tensor besides what was asked for.
struct TensorFacts {
  const CodecInfo* codec = nullptr;  // of tensors that are to be coded
  bool inputs_known = false;         // E[x_j^2] of its inputs
  bool outputs_known = false;        // E[g_i^2] of its outputs
  bool factor = false;               // what is known is what its errors do to a product
  size_t folder_bytes = 0;           // of its name (TensorInfo)
  MatrixShape shape = {};
};

struct PlanFacts {
  Target target;
  bool closed_loop = false;          // full second moments are there
  bool outputs_measured = false;     // outputs_known is from a file, not estimated from the weights
  std::vector<TensorFacts> tensors;  // in source order
};

// InvalidArgument, with the tensor, for a layout or a bit depth that its codec does not take.
Result<Plan> resolve(const std::vector<TensorDraft>& drafts, const PlanFacts& facts);

// What errors of a tensor cost the model.
struct TensorCost {
  double weights = 0;
  // Mean over its weights of the cost of an error of one step; absent where inputs or outputs are unknown.
  std::optional<double> damage;
  bool factor = false;      // as of TensorFacts
  bool vocabulary = false;  // an embedding or a head
  // Of a pipeline: the part. What is known of one part says nothing of how much another one matters.
  std::string_view part = {};
};

// step_octaves for every tensor of the plan: as planned, or by damage. `costs` has one entry per tensor of
// the plan; those of kept tensors mean nothing.
std::vector<double> octaves_by_damage(const Plan& plan, std::span<const TensorCost> costs);

}  // namespace llmcodec
