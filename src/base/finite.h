// SPDX-License-Identifier: BSD-3-Clause
// Whether all values are finite, in one pass without branches; who has to name the first that
// is not looks again.
#pragma once

#include <span>

namespace llmcodec {

bool all_finite(std::span<const float> values);

}  // namespace llmcodec
