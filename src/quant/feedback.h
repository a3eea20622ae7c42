// SPDX-License-Identifier: BSD-3-Clause
// The closed loop: what strips of columns (inputs) lost when they were coded moves the columns not yet coded, so that
// the OUTPUT of the layer stays right. With H = mean of x x^T over the layer's inputs x, shrunk by 1 % towards its
// diagonal, damped by 1 % of the diagonal's mean and permuted into coding order, H = L D L^T: L upper triangular in
// blocks of a strip, with blocks of 1 on the diagonal, D of one block for each strip. Strip b is coded as
//   weights_b + sum over strips a < b of E_a L_ab,     E_a = weights_a - decoded_a
// the exact least-squares answer for strips of any width: the form of GPTQ (arXiv 2210.17323) that needs no inverse
// (LDLQ of QuIP, arXiv 2307.13304, which shows that they are the same). Steps per column go with U_jj,
// inverse(H) = U^T U with U upper triangular (as in WaterSIC).
//
// Example (RowReader& reader, MatrixView<const float> h, MatrixView<const float> w, MatrixView<float> errors):
//
//   LLMC_ASSIGN_OR_RETURN(const ClosedLoopColumns columns, closed_loop_columns(h));
//   const ScaleOptions options{.column_steps = columns.steps, .column_classes = columns.classes};
//   LLMC_ASSIGN_OR_RETURN(const MatrixScales scales, fit_scales(reader, options));
//   LLMC_ASSIGN_OR_RETURN(const Feedback loop, Feedback::create(h, class_order(scales.col_codes)));
//   // w, errors: a row for each column of the matrix, in coding order, and a column for each of any of its rows, which are
//   // independent of each other.
//   for (size_t b = 0; b < loop.strips(); ++b) {
//     const size_t first = loop.strip_begin(b), count = loop.strip_begin(b + 1) - first;
//     std::vector<float> values(count * w.cols);
//     const MatrixView<float> strip(values.data(), count, w.cols);
//     for (size_t k = 0; k < count; ++k) std::ranges::copy(w.row(first + k), strip.row(k).begin());
//     loop.correct(b, errors.block(0, 0, first, w.cols), strip);
//     // Code `strip` here; errors.block(first, 0, count, w.cols) = w - decoded.
//   }
//
// h is cols x cols float32, symmetric, positive semidefinite; only its entries on and above the diagonal
// count. Work and gains are float32. Memory: 4 cols^2 bytes. Time of create: about cols^3 / 6 multiplications.
// Deterministic: fixed summation order, no threads inside, no libm but square roots. correct() is const and may run on
// many threads.
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

  // errors: strip_begin(index) x rows, of the strips before: the weights themselves, not as corrected, less what was
  // decoded, in units of weights (NOT of u). strip: its width x rows, the weights; corrected in place.
  void correct(size_t index, MatrixView<const float> errors, MatrixView<float> strip) const;

 private:
  Feedback() = default;
  size_t cols_ = 0;
  size_t strip_ = 0;
  size_t stride_ = 0;
  // cols x cols; the rows of strip b hold minus the transposed L_ab of all strips a < b.
  std::vector<float> gains_;
};

}  // namespace llmcodec
