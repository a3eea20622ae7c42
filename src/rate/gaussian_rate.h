// SPDX-License-Identifier: BSD-3-Clause
// What a unit-variance Gaussian costs at a step, under VVC's trellis and entropy coder: first guesses for the
// rate search and for the number of coefficients of a block. Step = union step over standard deviation.
#pragma once

namespace llmcodec {

// log2_step: of the step in standard deviations. Interpolated, no libm: the results end up in bytes.
double gaussian_bits(double log2_step);  // bits per weight, > 0; falls with the step
double gaussian_log2_step(double bits);  // the inverse

}  // namespace llmcodec
