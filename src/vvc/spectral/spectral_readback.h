// SPDX-License-Identifier: BSD-3-Clause
// The promise of the spectral layout to foreign readers, checked block by block: whoever knows only the
// decoded picture finds every index again, by subtracting the prediction, inverting the standard's 32-point
// integer matrix on both sides, dividing by the step and rounding.
//
// The samples are rounded to integers, which moves each coefficient by about 0.3 samples as long as the
// residual is busy (0.03 steps at a step of 9 samples; the largest of many thousands is 0.15). A nearly empty
// block is not busy: a single small cosine is rounded to a pattern with harmonics, which may look like
// levels. Only such blocks need the check.
#pragma once

#include <cstdint>
#include <vector>

namespace llmcodec::vvc {

class SpectralReadback {
 public:
  // `step`: transform coefficient units that one level is worth (as Scaler gives them).
  SpectralReadback(double step, int bit_depth);

  // A residual with less energy than this many squared samples a sample is not busy:
  // measured, the largest error at a step of 9 was 0.61 at a deviation of 0.5 samples, 0.26 at 1,
  // 0.17 at 1.5, below 0.15 from 2 on.
  static constexpr int kBusyEnergy = 9;
  // Samples. Below, rounding (0.4 samples a coefficient) reaches half a step once in a million.
  static constexpr double kFineStep = 5;
  // A residual of few cosines repeats itself, and so do its rounding errors: they gather in few coefficients.
  // Measured at a step of 9, largest error of blocks with n large levels among multiples of a frequency f:
  // n = 1 1.7, f = 16 1.7, f = 8 (n < 16) 1.6, f = 4 (n < 64) 0.6, one row (n < 32) 0.7, f = 2 (n < 256) 0.3;
  // anywhere from n = 100 on 0.2.
  static constexpr uint32_t kBusyLevels = 192;
  // True where the residual cannot hide an index: busy, and not at a step so small that rounding alone may.
  // `levels` in scan order, `count` of them from position 1 on, as in find_misread().
  bool is_safe(const int16_t* residual, const int32_t* levels, uint32_t count) const;

  // Appends the scan positions 1..count whose coefficient, read back from the residual (32x32, row-major), is
  // further than kTolerance from its level (`levels` in scan order).
  void find_misread(const int16_t* residual, const int32_t* levels, uint32_t count,
                    std::vector<uint32_t>& positions) const;

 private:
  static constexpr double kTolerance = 0.4;  // of a step; 0.5 would still round to the level
  double scale_;
  double step_;  // in samples
};

}  // namespace llmcodec::vvc
