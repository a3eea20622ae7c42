// SPDX-License-Identifier: BSD-3-Clause
// Plans as text, to be edited and given back. docs/plan.md describes the JSON.
#pragma once

#include <string>
#include <vector>

#include "llmcodec/status.h"
#include "plan/tensor_plan.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

std::string plan_to_text(const Plan& plan, const std::vector<TensorSettings>& settings);

// A plan file leaves nothing open: drafts in which everything is said, and the settings.
struct PlanFile {
  std::vector<TensorDraft> drafts;
  std::vector<TensorSettings> settings;  // layout and bit depth are for resolve() to fill in
};
// Corrupt for text that is no plan; InvalidArgument, with the tensor, for values outside their range or a
// plan whose tensors are not `tensors`.
Result<PlanFile> plan_from_text(const std::string& text, const std::vector<TensorInfo>& tensors);

// Names of the tensors of a plan, in its order; of what is no plan as far as they go.
Result<std::vector<std::string>> plan_tensor_names(const std::string& text);

}  // namespace llmcodec
