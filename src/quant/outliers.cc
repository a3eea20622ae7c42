// SPDX-License-Identifier: BSD-3-Clause
#include "quant/outliers.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace llmcodec {

Status validate(const OutlierList& outliers, uint64_t matrix_weights) {
  if (outliers.indices.size() != outliers.values.size()) {
    return error(ErrorKind::kCorrupt, "{} outlier indices but {} values", outliers.indices.size(),
                 outliers.values.size());
  }
  for (size_t i = 0; i < outliers.size(); ++i) {
    if (outliers.indices[i] >= matrix_weights) {
      return error(ErrorKind::kCorrupt, "outlier {} has index {} of {} weights", i, outliers.indices[i],
                   matrix_weights);
    }
    if (i > 0 && outliers.indices[i] <= outliers.indices[i - 1]) {
      return error(ErrorKind::kCorrupt, "outlier {} has index {} after {}: must ascend", i,
                   outliers.indices[i], outliers.indices[i - 1]);
    }
    if (!std::isfinite(outliers.values[i])) return error(ErrorKind::kCorrupt, "outlier {} is not finite", i);
  }
  return Status::ok();
}

void sort_outliers(OutlierList& outliers) {
  std::vector<size_t> order(outliers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return outliers.indices[a] < outliers.indices[b]; });
  OutlierList sorted;
  for (size_t i : order) {
    if (!sorted.empty() && sorted.indices.back() == outliers.indices[i]) continue;
    sorted.add(outliers.indices[i], outliers.values[i]);
  }
  outliers = std::move(sorted);
}

void apply_outliers(const OutlierList& outliers, uint64_t first_row, MatrixView<float> rows) {
  const uint64_t begin = first_row * rows.cols, end = begin + rows.size();
  const auto first = std::lower_bound(outliers.indices.begin(), outliers.indices.end(), begin);
  for (size_t i = first - outliers.indices.begin(); i < outliers.size() && outliers.indices[i] < end; ++i) {
    const uint64_t offset = outliers.indices[i] - begin;
    rows.at(offset / rows.cols, offset % rows.cols) = outliers.values[i];
  }
}

}  // namespace llmcodec
