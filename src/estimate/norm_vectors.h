// SPDX-License-Identifier: BSD-3-Clause
// Norms of the vectors of the estimate of moments, forwards and backwards, and the noise that comes back through them.
#pragma once

#include "estimate/noise_vectors.h"

namespace llmcodec {

// A norm's numbers. `gains` and `bias` are empty where it has none; shorter than the vectors, they repeat.
struct NormValues {
  NormKind kind = NormKind::kRms;
  float epsilon = 0;
  std::vector<float> gains, bias;
};

// Per token 1 / (mean square of rows [first, first + count) + epsilon), about their mean for LayerNorm: what a norm
// multiplies the energy of errors by.
std::vector<float> norm_energy(const Vectors& vectors, const NormValues& norm, size_t first, size_t count);

// The norm of each `count` rows by themselves.
Vectors normalized(const Vectors& vectors, const NormValues& norm, size_t count);

// Gradients by `vectors`, from gradients by their norms.
Vectors through_norm(const Vectors& vectors, const Vectors& gradients, const NormValues& norm, size_t count);

// Noise: +1 or -1, times the roots of each row's and each token's energy.
Vectors draw_noise(std::span<const float> row_energy, std::span<const float> token_energy, uint64_t seed);

}  // namespace llmcodec
