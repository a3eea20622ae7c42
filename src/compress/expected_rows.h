// SPDX-License-Identifier: BSD-3-Clause
// What the fit says of some rows of a tensor at a step: bytes, the energy of the weights, and that of their errors, each up
// to a factor that is the same for all rows of a kind of tensor. The rate search codes strips, and what they came to over
// what was expected of them is that factor: so strips stand for the whole though rows, layers and tensors differ in
// loudness and size.
//
// Example (const FittedTensor& tensor, double log2_step):
//
//   const ExpectedRows strip = expected_rows(tensor, 0, {128, 64}, log2_step);  // rows 128 to 191 of the first matrix
//   const ExpectedRows all = expected_rows(tensor, 0, {0, tensor.shape.rows}, log2_step);
//   use(all.bytes / strip.bytes);
#pragma once

#include "compress/fitted_tensor.h"

namespace llmcodec {

struct ExpectedRows {
  double bytes = 0;
  double signal = 0, error = 0;  // energies
  void add(const ExpectedRows& other);
};

struct RowSpan {
  uint64_t first = 0, count = 0;
};

// `flat_rate`: every weight takes as much, whatever its size.
ExpectedRows expected_rows(const FittedTensor& tensor, uint64_t matrix, RowSpan rows, double log2_step,
                           bool flat_rate = false);

}  // namespace llmcodec
