// SPDX-License-Identifier: BSD-3-Clause
// The spectral layout in the bench: no samples and no quality, the step alone sets the rate.
#pragma once

#include <string_view>

#include "bench/bench_search.h"

namespace llmcodec {

inline constexpr std::string_view kSpectralSpec = "vvc:layout=spectral";

// Fills `row` (whose target_bpw is set). Outliers that a picture cannot carry are exact and count 8 bytes
// each. plane_scale is the deviation of the weights in steps. InvalidArgument for options behind
// kSpectralSpec other than "lambda=".
Status measure_spectral(const BenchSourceView& source, double tolerance, BenchRow* row);

}  // namespace llmcodec
