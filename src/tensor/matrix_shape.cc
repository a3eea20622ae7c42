// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/matrix_shape.h"

#include "base/checked_math.h"

namespace llmcodec {

std::optional<MatrixShape> matrix_shape(std::span<const uint64_t> shape) {
  if (shape.size() < 2) return std::nullopt;
  const auto weights = checked_product(shape);
  if (!weights || *weights == 0) return std::nullopt;
  const uint64_t rows = shape[shape.size() - 2];
  const uint64_t cols = shape.back();
  if (shape.size() == 2) return MatrixShape{1, rows, cols};
  if (rows >= kMinCodableSide && cols >= kMinCodableSide)
    return MatrixShape{*weights / (rows * cols), rows, cols};
  return MatrixShape{1, shape[0], *weights / shape[0]};
}

bool is_codable(std::span<const uint64_t> shape) {
  const auto matrix = matrix_shape(shape);
  return matrix && matrix->weights() >= kMinCodableWeights && matrix->rows >= kMinCodableSide &&
         matrix->cols >= kMinCodableSide;
}

}  // namespace llmcodec
