// SPDX-License-Identifier: BSD-3-Clause
#include "coding/folded_matrix.h"

#include <algorithm>

#include "base/owned_matrix.h"

namespace llmcodec {
namespace {

// One value for each line becomes one for each column of the folded matrix.
template <class T>
std::vector<T> spread(const Fold& fold, const std::vector<T>& values, uint64_t first) {
  std::vector<T> spread(values.empty() ? 0 : fold.folded_cols());
  for (size_t c = 0; c < spread.size(); ++c) spread[c] = values[first + c / kMaxPiece];
  return spread;
}

}  // namespace

MatrixScales folded_scales(const Fold& fold, const MatrixScales& scales, uint64_t first_row) {
  const bool by_rows = fold.lines == Lines::kRows;
  const uint64_t first = by_rows ? first_row : 0;
  MatrixScales folded;
  folded.spec = {ScaleKind::kColumn, 0};
  folded.asymmetric = scales.asymmetric;
  folded.rows = fold.pieces();
  folded.cols = fold.folded_cols();
  folded.col_code = by_rows ? scales.row_code : scales.col_code;
  folded.col_codes = spread(fold, by_rows ? scales.row_codes : scales.col_codes, first);
  folded.zeros = spread(fold, scales.zeros, first);
  return folded;
}

FoldedSource::FoldedSource(const Fold& fold, const MatrixContext& matrix)
    : fold_(fold),
      reader_(*matrix.reader),
      first_row_(matrix.first_row),
      scales_(folded_scales(fold, *matrix.scales, matrix.first_row)) {}

Status FoldedSource::read_rows(size_t first, MatrixView<float> out) {
  for (size_t r = 0; r < out.rows; ++r) std::ranges::fill(out.row(r), 0.0f);  // the padding
  // One line after the other, or all pieces of these rows, which stand side by side.
  const bool by_rows = fold_.lines == Lines::kRows;
  const uint64_t begin = by_rows ? 0 : first * fold_.piece;
  const uint64_t end = by_rows ? fold_.rows : std::min(fold_.rows, (first + out.rows) * fold_.piece);
  OwnedMatrix<float> part(by_rows ? 1 : end - begin, fold_.cols);
  for (uint64_t row = begin; row < end; row += part.view().rows) {
    LLMC_RETURN_IF_ERROR(reader_.read_rows(first_row_ + row, part.view()));
    fold_rows(fold_, part.view(), row, first, out);
  }
  return Status::ok();
}

void clear_padding(const Fold& fold, uint64_t first, MatrixView<float> rows) {
  for (size_t r = 0; r < rows.rows; ++r) {
    const uint64_t weights = fold.weights_of(first + r);
    for (uint64_t begin = 0; begin < rows.cols; begin += kMaxPiece)
      std::ranges::fill(rows.row(r).subspan(begin + weights, kMaxPiece - weights), 0.0f);
  }
}

void unfold_outliers(const Fold& fold, uint64_t first_row, OutlierList* outliers) {
  for (uint64_t& index : outliers->indices)
    index = first_row * fold.cols + fold.index_of(index / fold.folded_cols(), index % fold.folded_cols());
  sort_outliers(*outliers);
}

void add_pieces(const Fold& fold, uint64_t first, MatrixView<const float> original,
                MatrixView<const float> restored, ErrorMetrics* metrics) {
  for (size_t r = 0; r < original.rows; ++r) {
    const uint64_t weights = fold.weights_of(first + r);
    for (uint64_t begin = 0; begin < original.cols; begin += kMaxPiece)
      metrics->add(original.row(r).subspan(begin, weights), restored.row(r).subspan(begin, weights));
  }
}

}  // namespace llmcodec
