// SPDX-License-Identifier: BSD-3-Clause
// Logarithm and power from additions, multiplications and divisions only: the C library's are rounded
// differently from one CPU or version to the next, and what they return here ends up in bytes (design:
// determinism). Relative error below 1e-13; speed is no concern (called per row and column, not per weight).
#pragma once

namespace llmcodec {

double portable_log2(double value);                 // value finite and > 0
double portable_exp2(double value);                 // |value| <= 1000
double portable_pow(double base, double exponent);  // base > 0: exp2(exponent * log2(base))

}  // namespace llmcodec
