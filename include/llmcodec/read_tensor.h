// SPDX-License-Identifier: BSD-3-Clause
// One tensor of a model, or some rows of one of an archive, as floats.
//
// Example:
//
//   LLMC_ASSIGN_OR_RETURN(const TensorValues tensor, read_tensor("model.gguf", "blk.0.ffn_up.weight"));
//   use(tensor.view());  // rows x cols, row-major
//   LLMC_ASSIGN_OR_RETURN(const TensorValues rows,
//                         read_rows("archive.safetensors", "token_embd.weight", {500, 516}));
//   use(rows.view());
#pragma once

#include <cstdint>
#include <optional>
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

// Rows first, ..., last - 1 of all matrices of a tensor, one below the other.
struct RowRange {
  uint64_t first = 0, last = 0;
};

// `model`: whatever compress() takes. Values are dequantised exactly as ggml does; NaN and Inf are passed on.
// InvalidArgument for a name that the model has not, for a tensor that is no matrix (fewer than two
// dimensions, a zero side, integers), and for an empty range or one past the last row; else what opening the
// model gives. Without a range: all rows.
Result<TensorValues> read_tensor(const std::string& model, const std::string& name,
                                 std::optional<RowRange> rows = {});

// Only the pictures that hold the rows are decoded, and only their bytes are read (where a row is spread
// over several pictures: those of its matrix). The values are those that decompress() rounds to the tensor's
// dtype. What was decoded is checked against its checksum, and so are scales and outliers. A tensor that is
// stored uncoded is not checked, because its checksum covers the whole tensor: use verify() for that. Errors
// name file and tensor: InvalidArgument for a name that is not in the archive, a tensor that is no matrix,
// an empty range and one that goes past the last row; Unsupported for integers; Corrupt. To read several
// tensors, open the archive once: archive.h.
Result<TensorValues> read_rows(const std::string& archive, const std::string& name, RowRange rows);

}  // namespace llmcodec
