// SPDX-License-Identifier: BSD-3-Clause
// A picture holds coded positions [rect.first_col, + rect.cols) of the columns; which matrix columns these
// are depends on the order. Helpers for matrices of more than one input cut; for one cut, every column
// belongs to the picture.
#pragma once

#include <span>

#include "base/error_metrics.h"
#include "llmcodec/matrix_view.h"
#include "plane/spatial_layout.h"
#include "quant/outliers.h"

namespace llmcodec {

// Copies the picture's columns of `from` to `to` (same shape). An empty rect copies everything.
void copy_columns(const PictureRect& rect, std::span<const uint32_t> order, MatrixView<const float> from,
                  MatrixView<float> to);
// Adds the picture's columns to `metrics`, row after row.
void add_columns(const PictureRect& rect, std::span<const uint32_t> order, MatrixView<const float> original,
                 MatrixView<const float> restored, ErrorMetrics* metrics);
// The picture's columns of `rows` in coded order (rows.rows x rect.cols), and back: the other columns stay.
void to_coded_order(const PictureRect& rect, std::span<const uint32_t> order, MatrixView<const float> rows,
                    MatrixView<float> coded);
void from_coded_order(const PictureRect& rect, std::span<const uint32_t> order, MatrixView<const float> coded,
                      MatrixView<float> rows);
// Appends those outliers of `all` (of a matrix of `cols` columns) that lie in the picture's columns to
// `kept`.
void keep_columns(const PictureRect& rect, uint64_t cols, std::span<const uint32_t> order, OutlierList* all,
                  OutlierList* kept);

}  // namespace llmcodec
