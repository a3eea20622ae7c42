// SPDX-License-Identifier: BSD-3-Clause
// The closed loop: after a strip of columns (inputs) has been coded, its error is fed into the columns not
// yet coded, so that the OUTPUT of the layer stays right. With H = mean of x x^T over the inputs x of the
// layer, damped by 1 % of its mean diagonal and permuted into coding order, inverse(H) = U^T U, U upper
// triangular. After strip b with error E_b = wanted - decoded the rest of the weights becomes  rest - E_b
// inverse(U_bb) U_b,rest : the exact least-squares answer for strips of any width. Steps per column go with
// U_jj (WaterSIC).
//
//   order0 = falling_diagonal_order(H)
//   LLMC_ASSIGN_OR_RETURN(auto steps, closed_loop_column_steps(H));        // U_jj in that order, by matrix
//   column fit_scales(reader, {.column_steps = steps}) -> col_codes; order = column_order(col_codes)
//   LLMC_ASSIGN_OR_RETURN(Feedback loop, Feedback::create(H, order));
//   for each picture (a range of matrix rows; pictures are independent), weights w in coding order of the
//   columns:
//     for b in strips: code columns [32 b, 32 b + n), get y; loop.correct(b, w_b - y_b, w[:, 32 b + n :])
//
// H is cols x cols float32, symmetric, positive semidefinite; only its upper triangle (row <= column) is
// read. Work is in float64, the kept factors are float32. Memory: 8 cols^2 bytes while creating, 4 cols^2
// afterwards. Deterministic: fixed summation order, no threads inside, no libm. correct() is const and may
// run on many threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "llmcodec/matrix_view.h"
#include "llmcodec/status.h"

namespace llmcodec {

inline constexpr size_t kFeedbackStrip = 32;

struct FeedbackOptions {
  double damping = 0.01;          // of the mean diagonal, added to the diagonal
  size_t strip = kFeedbackStrip;  // columns coded between two corrections
};

// Columns by falling diagonal of H, ties by index.
std::vector<uint32_t> falling_diagonal_order(MatrixView<const float> moments);

// steps[j] = U_jj of matrix column j, factored in falling_diagonal_order; scaled to geometric mean 1.
// InvalidArgument for a matrix that is not square, not finite, has a zero diagonal throughout, or is not
// positive definite after damping (the message names the column).
Result<std::vector<float>> closed_loop_column_steps(MatrixView<const float> moments,
                                                    const FeedbackOptions& options = {});

class Feedback {
 public:
  // order: a permutation of the columns (checked). Errors as closed_loop_column_steps.
  static Result<Feedback> create(MatrixView<const float> moments, std::span<const uint32_t> order,
                                 const FeedbackOptions& options = {});

  size_t cols() const { return cols_; }
  size_t strips() const { return (cols_ + strip_ - 1) / strip_; }
  // First column (in coding order) of strip `index`; cols() for index == strips().
  size_t strip_begin(size_t index) const { return std::min(index * strip_, cols_); }

  // error: rows x width of the strip, wanted - decoded, in units of the weights (NOT of u). rest: the same
  // rows, all columns after the strip, in coding order; corrected in place. Nothing to do (0 columns) after
  // the last strip.
  void correct(size_t index, MatrixView<const float> error, MatrixView<float> rest) const;

 private:
  Feedback() = default;
  size_t cols_ = 0;
  size_t strip_ = 0;
  std::vector<float>
      gain_;  // cols x cols: rows of strip b hold inverse(U_bb) U_b,rest from column strip_begin(b + 1) on
};

}  // namespace llmcodec
