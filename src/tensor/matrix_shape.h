// SPDX-License-Identifier: BSD-3-Clause
// Tensors seen as matrices. Rule (normative):
//   0-D and 1-D                                   no matrix
//   2-D [out, in]                                 1 matrix of out x in
//   3-D, last two sides both >= 8                 the first side counts matrices (experts): [e, out, in]
//   3-D otherwise, 4-D and more (convolutions)    1 matrix: rows = side 0, cols = product of the others
// A reader takes the matrices of a coded tensor from its description: earlier versions made them otherwise.
// A matrix's weights are contiguous and row-major in the tensor; matrix m starts at weight m * rows * cols.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

namespace llmcodec {

inline constexpr uint64_t kMinCodableSide = 8;  // of a matrix: the smallest picture side of VVC

struct MatrixShape {
  uint64_t matrices = 0;
  uint64_t rows = 0;
  uint64_t cols = 0;
  uint64_t weights() const { return matrices * rows * cols; }
  bool operator==(const MatrixShape&) const = default;
};

// nullopt for 0-D and 1-D shapes, shapes with a zero side, and products that overflow 64 bits.
std::optional<MatrixShape> matrix_shape(std::span<const uint64_t> shape);
// The same as one matrix, whatever the sides: rows = side 0.
std::optional<MatrixShape> one_matrix(std::span<const uint64_t> shape);

}  // namespace llmcodec
