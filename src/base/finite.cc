// SPDX-License-Identifier: BSD-3-Clause
#include "base/finite.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>

#include "base/wider_vectors.h"

namespace llmcodec {

LLMC_WIDER_VECTORS
float largest_magnitude(std::span<const float> values) {
  // Without their sign, bits of floats order as the floats do, infinity after what is finite and NaN last.
  constexpr uint32_t kMagnitude = 0x7fffffff;
  uint32_t largest = 0;
  for (const float value : values) largest = std::max(largest, std::bit_cast<uint32_t>(value) & kMagnitude);
  return std::bit_cast<float>(largest);
}

bool all_finite(std::span<const float> values) {
  return std::isfinite(largest_magnitude(values));
}

}  // namespace llmcodec
