// SPDX-License-Identifier: BSD-3-Clause
// Outliers: weights that the coded samples cannot hold, kept exactly and put over the decoded
// matrix at the end.
#pragma once

#include <cstdint>
#include <vector>

#include "llmcodec/matrix_view.h"
#include "llmcodec/status.h"

namespace llmcodec {

struct OutlierList {
  std::vector<uint64_t> indices;  // row * cols + col in the matrix, strictly ascending
  std::vector<float> values;      // exact source values, not scaled

  size_t size() const { return indices.size(); }
  bool empty() const { return indices.empty(); }
  void add(uint64_t index, float value) {
    indices.push_back(index);
    values.push_back(value);
  }
};

// Corrupt when the two lists differ in length, indices are not strictly ascending or reach `matrix_weights`,
// or a value is NaN or infinite.
Status validate(const OutlierList& outliers, uint64_t matrix_weights);

// Sorts by index (needed after gathering from several pictures). Of equal indices the first stays.
void sort_outliers(OutlierList& outliers);

// Writes the values that fall into matrix rows [first_row, first_row + rows.rows) into `rows` (all columns of
// the matrix). `outliers` must be valid.
void apply_outliers(const OutlierList& outliers, uint64_t first_row, MatrixView<float> rows);

}  // namespace llmcodec
