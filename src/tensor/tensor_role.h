// SPDX-License-Identifier: BSD-3-Clause
// What a tensor does in its model, as far as its name (inside its part of a pipeline), dtype and shape tell, and what follows from it: whether it is
// coded unless somebody asks for something else, and as which matrices. docs/tensors.md has the table for users.
//
// Example (const TensorInfo& info):
//
//   const TensorRole role = tensor_role(info);
//   if (const char* reason = kept_because(role)) puts(reason);
//   const std::optional<MatrixShape> matrices = tensor_matrices(info);
#pragma once

#include <optional>
#include <string_view>

#include "tensor/matrix_shape.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

enum class TensorRole {
  // Coded.
  kMatrix,     // of a linear layer
  kEmbedding,  // one row per token
  kHead,       // likewise, at the output
  kExpert,     // a linear layer of a mixture of experts
  kAdapter,    // a factor of a low-rank update (LoRA)
  // Coded, but for small ones (draft_plan()).
  kConvolution,
  kPosition,  // one row per position or segment
  kOther,     // with two sides or more and a name that says nothing
  // Stored exactly.
  kVector,  // without two sides
  kNorm,
  kBias,
  kRouter,          // chooses experts
  kState,           // of a recurrence: its decay, time step and short convolutions
  kBuffer,          // computed, not learnt: masks, rotary frequencies, sinusoids
  kQuantiserScale,  // of a quantised tensor beside it
  kPackedCodes,     // of one
  kIndex,           // other integers
};
inline constexpr int kTensorRoles = static_cast<int>(TensorRole::kIndex) + 1;

// "matrix", "embedding", ...: stable, used in --json output.
const char* role_name(TensorRole role);

TensorRole tensor_role(const TensorInfo& info);

// Why tensors of this role are stored exactly; nullptr for those that are coded.
const char* kept_because(TensorRole role);
// Whether small tensors of this role are stored exactly too.
bool is_minor(TensorRole role);

// The tensor as matrices: matrix_shape(), and a convolution of three sides as one matrix as well, whatever its kernel.
std::optional<MatrixShape> tensor_matrices(const TensorInfo& info);

// Token embeddings and output heads, by the names that GGUF and Hugging Face give them.
bool is_vocabulary(std::string_view name);

}  // namespace llmcodec
