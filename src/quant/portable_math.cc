// SPDX-License-Identifier: BSD-3-Clause
#include "quant/portable_math.h"

#include <cmath>

namespace llmcodec {
namespace {

constexpr double kLn2 = 0.6931471805599453094;
constexpr double kSqrtHalf = 0.7071067811865475244;

}  // namespace

double portable_log2(double value) {
  int exponent = 0;
  double m = std::frexp(value, &exponent);  // [0.5, 1)
  if (m < kSqrtHalf) {
    m *= 2;
    --exponent;
  }
  // ln(m) = 2 atanh(s), |s| <= 0.172: the term s^23 / 23 is below 1e-18.
  const double s = (m - 1) / (m + 1);
  const double s2 = s * s;
  double sum = 0;
  for (int n = 21; n >= 1; n -= 2) sum = sum * s2 + 1.0 / n;
  return exponent + 2 * s * sum / kLn2;
}

double portable_exp2(double value) {
  const double whole = std::floor(value + 0.5);
  const double t = (value - whole) * kLn2;  // |t| <= 0.347: the term t^16 / 16! is below 1e-20
  double sum = 1;
  for (int n = 15; n >= 1; --n) sum = 1 + sum * t / n;
  return std::ldexp(sum, static_cast<int>(whole));
}

double portable_pow(double base, double exponent) {
  return portable_exp2(exponent * portable_log2(base));
}

}  // namespace llmcodec
