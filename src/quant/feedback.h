// SPDX-License-Identifier: BSD-3-Clause
// The closed loop: after a strip of columns (inputs) has been coded, its error is fed into the columns not
// yet coded, so that the OUTPUT of the layer stays right. With H = mean of x x^T over the layer's inputs
// x, shrunk by 1 % towards its diagonal, damped by 1 % of the diagonal's mean and permuted into coding
// order, inverse(H) = U^T U with U upper triangular. After strip b with error E_b = wanted - decoded the
// rest of the weights becomes
//   rest - E_b inverse(U_bb) U_b,rest
// the exact least-squares answer for strips of any width. Steps per column go with U_jj (as in WaterSIC).
//
// Example (RowReader& reader, MatrixView<const float> h, MatrixView<float> w, MatrixView<const float> error):
//
//   LLMC_ASSIGN_OR_RETURN(const ClosedLoopColumns columns, closed_loop_columns(h));
//   const ScaleOptions options{.column_steps = columns.steps, .column_classes = columns.classes};
//   LLMC_ASSIGN_OR_RETURN(const MatrixScales scales, fit_scales(reader, options));
//   LLMC_ASSIGN_OR_RETURN(const Feedback loop, Feedback::create(h, class_order(scales.col_codes)));
//   // w: weights of any matrix rows, columns in coding order. Ranges of rows are independent of each other.
//   for (size_t b = 0; b < loop.strips(); ++b) {
//     // Code strip b here; `error` holds what its columns then differ by: wanted - decoded.
//     const size_t next = loop.strip_begin(b + 1);
//     loop.correct(b, error, w.block(0, next, w.rows, w.cols - next));
//   }
//
// h is cols x cols float32, symmetric, positive semidefinite; only its entries on and above the diagonal
// count. Work is in float64, the kept gains are float32. Memory: 8 cols^2 bytes more while creating, 4 cols^2
// afterwards. Time of create: about cols^3 / 2 multiplications. Deterministic: fixed summation order, no
// threads inside, no libm but square roots. correct() is const and may run on many threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "llmcodec/matrix_view.h"
#include "llmcodec/status.h"
#include "quant/scales.h"

namespace llmcodec {

struct FeedbackOptions {
  double damping = 0.01;  // of the mean diagonal, added to the diagonal
  // What the entries off the diagonal lose, as a part of each: they are estimates from few tokens, and inputs
  // that look alike by chance must not pay for each other's errors.
  double shrinkage = 0.01;
  size_t strip = 32;  // columns coded between two corrections
};

// Which columns come first, and how finely each is coded. The order matters (SmolLM2 blk.10.attn_q, C4
// moments, a plain quantiser at 2.0 bits: the weighted error is 19.45 dB below the signal by falling
// diagonal, 17.99 in the given order), but only roughly: kColumnClasses classes of the diagonal, by octaves
// from its geometric mean, reach 19.42. Steps must be those of the very order that is coded.
struct ClosedLoopColumns {
  std::vector<uint8_t> classes;  // per matrix column, 0 = coded first .. kColumnClasses - 1
  std::vector<float> steps;      // per matrix column: U_jj of the order by class, over its geometric mean
};
// InvalidArgument for a matrix that is not square, empty, not finite, with a negative or an all-zero
// diagonal, or not positive definite after damping (the message names the column).
Result<ClosedLoopColumns> closed_loop_columns(MatrixView<const float> moments,
                                              const FeedbackOptions& options = {});

class Feedback {
 public:
  // order[k] = matrix column at coded position k, a permutation (else InvalidArgument). Other errors as
  // above; a zero strip is InvalidArgument.
  static Result<Feedback> create(MatrixView<const float> moments, std::span<const uint32_t> order,
                                 const FeedbackOptions& options = {});

  size_t cols() const { return cols_; }
  size_t strips() const { return (cols_ + strip_ - 1) / strip_; }
  // First column (coded position) of strip `index`; cols() for strips().
  size_t strip_begin(size_t index) const { return std::min(index * strip_, cols_); }

  // error: rows x width of the strip, wanted - decoded in units of weights (NOT of u). rest: the same
  // rows, all columns after the strip in coding order; corrected in place. After the last strip there
  // is nothing to do.
  void correct(size_t index, MatrixView<const float> error, MatrixView<float> rest) const;

 private:
  Feedback() = default;
  size_t cols_ = 0;
  size_t strip_ = 0;
  // cols x cols; the rows of strip b hold inverse(U_bb) U_b,rest from strip_begin(b + 1) on.
  std::vector<float> gains_;
};

}  // namespace llmcodec
