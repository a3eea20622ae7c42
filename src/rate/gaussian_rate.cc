// SPDX-License-Identifier: BSD-3-Clause
#include "rate/gaussian_rate.h"

#include <array>
#include <cstddef>

namespace llmcodec {
namespace {

struct Point {
  double log2_step, bits;
};

// Simulated with the exact VVC contexts, 32x32 blocks, lambda 0.45 step^2
// (docs/decisions/010-spectral-layout.md has measured points): step over deviation .08 .12 .18 .25 .33 .42
// .50 .58 .70 .85 1.0.
constexpr std::array<Point, 11> kPoints = {{{-3.644, 4.94},
                                            {-3.059, 4.30},
                                            {-2.474, 3.73},
                                            {-2.000, 3.23},
                                            {-1.599, 2.79},
                                            {-1.252, 2.39},
                                            {-1.000, 2.11},
                                            {-0.786, 1.86},
                                            {-0.515, 1.53},
                                            {-0.234, 1.21},
                                            {0.000, 0.99}}};

// Piecewise linear through the points, the end pieces prolonged.
template <double Point::*X, double Point::*Y>
double interpolate(double x) {
  const bool rising = kPoints.back().*X > kPoints.front().*X;
  size_t i = 1;
  while (i + 1 < kPoints.size() && (rising ? x > kPoints[i].*X : x < kPoints[i].*X)) ++i;
  const Point& a = kPoints[i - 1];
  const Point& b = kPoints[i];
  return a.*Y + (x - a.*X) * (b.*Y - a.*Y) / (b.*X - a.*X);
}

}  // namespace

double gaussian_bits(double log2_step) {
  const double bits = interpolate<&Point::log2_step, &Point::bits>(log2_step);
  return bits > 0.02 ? bits : 0.02;
}

double gaussian_log2_step(double bits) {
  return interpolate<&Point::bits, &Point::log2_step>(bits);
}

}  // namespace llmcodec
