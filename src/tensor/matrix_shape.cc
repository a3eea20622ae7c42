// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/matrix_shape.h"

#include "base/checked_math.h"

namespace llmcodec {

std::optional<MatrixShape> one_matrix(std::span<const uint64_t> shape) {
  if (shape.size() < 2) return std::nullopt;
  const auto weights = checked_product(shape);
  if (!weights || *weights == 0) return std::nullopt;
  return MatrixShape{1, shape[0], *weights / shape[0]};
}

std::optional<MatrixShape> matrix_shape(std::span<const uint64_t> shape) {
  auto matrix = one_matrix(shape);
  if (matrix && shape.size() == 3 && shape[1] >= kMinCodableSide && shape[2] >= kMinCodableSide)
    return MatrixShape{shape[0], shape[1], shape[2]};
  return matrix;
}

}  // namespace llmcodec
