// SPDX-License-Identifier: BSD-3-Clause
// The next strip of one encoder, encoded alone.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "vvc/spectral/spectral_encoder.h"

namespace llmcodec::vvc {

inline Status encode_strip(SpectralEncoder& encoder, std::span<const float> coefficients,
                           std::span<int32_t> indices, std::vector<uint32_t>* outliers = nullptr) {
  StripEncoding strip{
      .encoder = &encoder, .coefficients = coefficients, .indices = indices, .outliers = outliers};
  SpectralEncoder::encode_strips({&strip, 1});
  return std::move(strip.status);
}

}  // namespace llmcodec::vvc
