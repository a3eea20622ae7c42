// SPDX-License-Identifier: BSD-3-Clause
// One tensor of a model as floats, for measurements.
//
//   LLMC_ASSIGN_OR_RETURN(const TensorValues tensor, read_tensor("model.gguf", "blk.0.ffn_up.weight"));
//   use(tensor.view());  // rows x cols, row-major
#pragma once

#include <string>
#include <vector>

#include "llmcodec/matrix_view.h"
#include "llmcodec/status.h"

namespace llmcodec {

struct TensorValues {
  size_t rows = 0, cols = 0;  // of all its matrices, one below the other
  std::vector<float> values;
  MatrixView<const float> view() const { return {values.data(), rows, cols}; }
};

// `model`: whatever compress() takes. Values are dequantised exactly as ggml does; NaN and Inf are passed on.
// InvalidArgument for a name that the model has not and for a tensor that is no matrix (fewer than two
// dimensions, a zero side, integers); else what opening the model gives.
Result<TensorValues> read_tensor(const std::string& model, const std::string& name);

}  // namespace llmcodec
