// SPDX-License-Identifier: BSD-3-Clause
#include "coding/column_order.h"

#include <algorithm>
#include <vector>

namespace llmcodec {
namespace {

bool is_whole(const PictureRect& rect, uint64_t cols) {
  return rect.cols == 0 || rect.cols == cols;
}

// Matrix columns of the picture, ascending.
std::vector<uint32_t> columns_of(const PictureRect& rect, std::span<const uint32_t> order) {
  std::vector<uint32_t> columns(rect.cols);
  for (uint64_t k = 0; k < rect.cols; ++k) {
    const uint64_t position = rect.first_col + k;
    columns[k] = order.empty() ? static_cast<uint32_t>(position) : order[position];
  }
  std::sort(columns.begin(), columns.end());
  return columns;
}

}  // namespace

void copy_columns(const PictureRect& rect, std::span<const uint32_t> order, MatrixView<const float> from,
                  MatrixView<float> to) {
  if (is_whole(rect, from.cols)) {
    for (size_t r = 0; r < from.rows; ++r) std::ranges::copy(from.row(r), to.row(r).begin());
    return;
  }
  const std::vector<uint32_t> columns = columns_of(rect, order);
  for (size_t r = 0; r < from.rows; ++r) {
    for (uint32_t c : columns) to.at(r, c) = from.at(r, c);
  }
}

void add_columns(const PictureRect& rect, std::span<const uint32_t> order, MatrixView<const float> original,
                 MatrixView<const float> restored, ErrorMetrics* metrics) {
  if (is_whole(rect, original.cols)) {
    for (size_t r = 0; r < original.rows; ++r) metrics->add(original.row(r), restored.row(r));
    return;
  }
  const std::vector<uint32_t> columns = columns_of(rect, order);
  std::vector<float> a(columns.size());
  std::vector<float> b(columns.size());
  for (size_t r = 0; r < original.rows; ++r) {
    for (size_t k = 0; k < columns.size(); ++k) {
      a[k] = original.at(r, columns[k]);
      b[k] = restored.at(r, columns[k]);
    }
    metrics->add(a, b);
  }
}

void to_coded_order(const PictureRect& rect, std::span<const uint32_t> order, MatrixView<const float> rows,
                    MatrixView<float> coded) {
  for (size_t r = 0; r < rows.rows; ++r) {
    const auto from = rows.row(r);
    const auto to = coded.row(r);
    if (order.empty()) {
      std::ranges::copy(from.subspan(rect.first_col, rect.cols), to.begin());
    } else {
      const auto columns = order.subspan(rect.first_col, rect.cols);
      for (size_t k = 0; k < columns.size(); ++k) to[k] = from[columns[k]];
    }
  }
}

void from_coded_order(const PictureRect& rect, std::span<const uint32_t> order, MatrixView<const float> coded,
                      MatrixView<float> rows) {
  for (size_t r = 0; r < rows.rows; ++r) {
    const auto from = coded.row(r);
    const auto to = rows.row(r);
    if (order.empty()) {
      std::ranges::copy(from, to.begin() + static_cast<ptrdiff_t>(rect.first_col));
    } else {
      const auto columns = order.subspan(rect.first_col, rect.cols);
      for (size_t k = 0; k < columns.size(); ++k) to[columns[k]] = from[k];
    }
  }
}

void keep_columns(const PictureRect& rect, uint64_t cols, std::span<const uint32_t> order, OutlierList* all,
                  OutlierList* kept) {
  const std::vector<uint32_t> columns = columns_of(rect, order);
  for (size_t i = 0; i < all->size(); ++i) {
    const auto column = static_cast<uint32_t>(all->indices[i] % cols);
    if (is_whole(rect, cols) || std::ranges::binary_search(columns, column))
      kept->add(all->indices[i], all->values[i]);
  }
}

}  // namespace llmcodec
