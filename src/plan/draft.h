// SPDX-License-Identifier: BSD-3-Clause
// The draft of a plan, from a model and options: what to code, and what was asked for.
#pragma once

#include <vector>

#include "llmcodec/model.h"
#include "plan/tensor_plan.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

// Weights of a matrix that may have a side under 8 and be coded: pictures of a larger one would be padding, for it is not
// folded (plane/fold.h).
inline constexpr uint64_t kMaxThinWeights = uint64_t{1} << 22;

// InvalidArgument for an option or rule that cannot be parsed, a rule that matches no tensor, or one that
// asks to code what cannot be coded.
Result<std::vector<TensorDraft>> draft_plan(const std::vector<TensorInfo>& tensors,
                                            const CompressOptions& options);

// Why a tensor cannot be coded at all; empty when it can.
std::string coding_obstacle(const TensorInfo& info);

}  // namespace llmcodec
