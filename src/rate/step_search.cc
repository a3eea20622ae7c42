// SPDX-License-Identifier: BSD-3-Clause
#include "rate/step_search.h"

#include <algorithm>
#include <cmath>
#include <optional>

namespace llmcodec {
namespace {

constexpr double kGrid = 4096;

struct Sample {
  double x, value;
};

// The next place to look: between the bracketing samples, or along the slope from the nearest one.
double next_place(const StepSearch& search, const std::optional<Sample>& low,
                  const std::optional<Sample>& high, const Sample& last) {
  double x = 0;
  if (low && high) {  // low.value >= target >= high.value
    const double fraction = (low->value - search.target) / (low->value - high->value);
    x = low->x + std::clamp(fraction, 0.03, 0.97) * (high->x - low->x);
  } else {
    // A little further than the slope says, so that the next sample brackets the target.
    x = last.x + 1.15 * (search.target - last.value) / search.slope;
    x = std::clamp(x, last.x - 4, last.x + 4);
  }
  return std::clamp(on_step_grid(x), search.min, search.max);
}

}  // namespace

double on_step_grid(double log2_step) {
  return std::round(log2_step * kGrid) / kGrid;
}

Result<StepFound> search_step(const StepSearch& search, const StepFunction& value) {
  std::optional<Sample> low;   // value above the target: the step is too small
  std::optional<Sample> high;  // value below
  StepFound best;
  double x = std::clamp(on_step_grid(search.guess), search.min, search.max);
  StepSearch state = search;
  std::optional<Sample> previous;
  for (int i = 0; i < search.max_evaluations; ++i) {
    LLMC_ASSIGN_OR_RETURN(const double y, value(x));
    const Sample sample{x, y};
    if (i == 0 || std::abs(y - search.target) < std::abs(best.value - search.target)) {
      best.log2_step = x;
      best.value = y;
    }
    if (std::abs(y - search.target) <= search.tolerance) break;
    (y > search.target ? low : high) = sample;
    if (previous && previous->x != x && (y - previous->value) / (x - previous->x) < 0)
      state.slope = (y - previous->value) / (x - previous->x);
    previous = sample;
    const double next = next_place(state, low, high, sample);
    if (next == x) break;  // at an end of the range, or the grid is exhausted
    x = next;
  }
  best.slope = state.slope;
  best.reached = std::abs(best.value - search.target) <= search.tolerance;
  best.out_of_range =
      !best.reached && (!low || !high) && (best.log2_step == search.min || best.log2_step == search.max);
  return best;
}

}  // namespace llmcodec
