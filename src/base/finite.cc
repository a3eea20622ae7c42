// SPDX-License-Identifier: BSD-3-Clause
#include "base/finite.h"

#include <bit>
#include <cstdint>

#include "base/wider_vectors.h"

namespace llmcodec {

LLMC_WIDER_VECTORS
bool all_finite(std::span<const float> values) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t special = 0;
  for (const float value : values) special |= (std::bit_cast<uint32_t>(value) & kExponent) == kExponent;
  return special == 0;
}

}  // namespace llmcodec
