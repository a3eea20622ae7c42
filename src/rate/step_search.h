// SPDX-License-Identifier: BSD-3-Clause
// Finds the logarithmic step at which a falling function of it (bytes, SNR) meets a target, in few
// evaluations: each may code millions of weights. Regula falsi with a slope to begin with; steps lie
// on a grid of 2^-12 octave, so that the same evaluations give the same answer whatever the last
// bits of the target.
#pragma once

#include <functional>

#include "llmcodec/status.h"

namespace llmcodec {

struct StepSearch {
  double target = 0;
  double guess = 0;  // first log2 step
  double min = -12;  // reachable range of the log2 step
  double max = 4;
  double slope = -1;     // first guess of d value / d log2 step, negative
  double tolerance = 0;  // stop when |value - target| <= tolerance
  int max_evaluations = 8;
};

struct StepFound {
  double log2_step = 0;
  double value = 0;           // of the function there
  double slope = 0;           // d value / d log2 step, as far as it was seen; negative
  bool reached = false;       // within the tolerance
  bool out_of_range = false;  // not reached, and the best step is an end of the range
};

double on_step_grid(double log2_step);  // the nearest place of the grid

using StepFunction = std::function<Result<double>(double log2_step)>;
Result<StepFound> search_step(const StepSearch& search, const StepFunction& value);

}  // namespace llmcodec
