// SPDX-License-Identifier: BSD-3-Clause
// A matrix that is folded before it is laid out (plane/fold.h), as the coder of its pictures sees it: another matrix,
// of pieces, whose columns have the scales of the lines that they are from. Pictures of it need no other code than
// those of any matrix.
//
// Example (const Fold& fold, const MatrixContext& matrix):
//
//   FoldedSource source(fold, matrix);
//   use(source.context());
#pragma once

#include "base/error_metrics.h"
#include "coding/picture_coder.h"
#include "plane/fold.h"
#include "quant/scales.h"

namespace llmcodec {

// Scales of the folded matrix. `first_row`: the matrix row that is the fold's first one.
MatrixScales folded_scales(const Fold& fold, const MatrixScales& scales, uint64_t first_row);

// A folded matrix to be encoded. What it is made of must outlive it.
class FoldedSource final : public RowReader {
 public:
  // `matrix`: as it is, not folded.
  FoldedSource(const Fold& fold, const MatrixContext& matrix);

  MatrixContext context() { return {this, &scales_, {}, nullptr, 0}; }
  size_t rows() const override { return fold_.pieces(); }
  size_t cols() const override { return fold_.folded_cols(); }
  Status read_rows(size_t first, MatrixView<float> out) override;

 private:
  const Fold& fold_;
  RowReader& reader_;
  uint64_t first_row_;  // of the matrix: where the fold begins
  MatrixScales scales_;
};

// Zero where folded rows, the first of which is row `first`, have padding: an asymmetric scale made it the zero point.
void clear_padding(const Fold& fold, uint64_t first, MatrixView<float> rows);

// Outliers of the folded matrix become those of the matrix.
void unfold_outliers(const Fold& fold, uint64_t first_row, OutlierList* outliers);

// Errors of folded rows, the first of which is row `first`: of their weights, without padding.
void add_pieces(const Fold& fold, uint64_t first, MatrixView<const float> original,
                MatrixView<const float> restored, ErrorMetrics* metrics);

}  // namespace llmcodec
