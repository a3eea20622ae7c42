// SPDX-License-Identifier: BSD-3-Clause
// Small matrices for the tests of scales and feedback. Seeded; the same on every machine up
// to libm's last bit.
#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "llmcodec/matrix_view.h"

namespace llmcodec::testing {

struct OwnedMatrix {
  size_t rows = 0, cols = 0;
  std::vector<float> values;
  OwnedMatrix(size_t r, size_t c) : rows(r), cols(c), values(r * c) {}
  MatrixView<float> view() { return {values.data(), rows, cols}; }
  MatrixView<const float> view() const { return {values.data(), rows, cols}; }
  float& at(size_t r, size_t c) { return values[r * cols + c]; }
  float at(size_t r, size_t c) const { return values[r * cols + c]; }
};

// Gaussian weights whose rows and columns differ in size by up to about e^(+-2 * spread).
inline OwnedMatrix gaussian(size_t rows, size_t cols, unsigned seed, double spread = 0.0) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal;
  std::vector<double> row_size(rows), col_size(cols);
  for (double& v : row_size) v = std::exp(spread * normal(engine));
  for (double& v : col_size) v = std::exp(spread * normal(engine));
  OwnedMatrix matrix(rows, cols);
  for (size_t r = 0; r < rows; ++r) {
    for (size_t c = 0; c < cols; ++c) {
      matrix.at(r, c) = static_cast<float>(0.02 * row_size[r] * col_size[c] * normal(engine));
    }
  }
  return matrix;
}

}  // namespace llmcodec::testing
