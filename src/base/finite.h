// SPDX-License-Identifier: BSD-3-Clause
// The largest magnitude of many values, and whether all are finite, in one pass without branches; who has to
// name the first that is not looks again.
#pragma once

#include <span>

namespace llmcodec {

// 0 for none. Infinite or NaN when a value is.
float largest_magnitude(std::span<const float> values);

bool all_finite(std::span<const float> values);

}  // namespace llmcodec
