// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/norm_vectors.h"

#include <cmath>
#include <random>

#include "base/wider_vectors.h"

namespace llmcodec {
namespace {

LLMC_WIDER_VECTORS
void add_products(std::span<const float> a, std::span<const float> b, float factor, std::span<float> sums) {
  for (size_t n = 0; n < sums.size(); ++n) sums[n] += factor * a[n] * b[n];
}

// Per token the mean of the rows; zeros for norms that do not look at it.
std::vector<float> centres_of(const Vectors& vectors, NormKind kind, size_t first, size_t count) {
  std::vector<float> centres(kEstimateTokens, 0.0F);
  if (kind == NormKind::kRms) return centres;
  for (size_t r = first; r < first + count; ++r) {
    const std::span<const float> row = vectors.view().row(r);
    for (size_t n = 0; n < row.size(); ++n) centres[n] += row[n];
  }
  for (float& c : centres) c /= static_cast<float>(count);
  return centres;
}

std::vector<float> energy_about(const Vectors& vectors, std::span<const float> centres, float epsilon,
                                size_t first, size_t count) {
  std::vector<float> energy(kEstimateTokens, 0.0F), apart(kEstimateTokens);
  for (size_t r = first; r < first + count; ++r) {
    const std::span<const float> row = vectors.view().row(r);
    for (size_t n = 0; n < row.size(); ++n) apart[n] = row[n] - centres[n];
    add_products(apart, apart, 1, energy);
  }
  for (float& e : energy) e = 1 / (e / static_cast<float>(count) + epsilon);
  return energy;
}

float repeated(std::span<const float> values, size_t r, float otherwise) {
  return values.empty() ? otherwise : values[r % values.size()];
}

std::vector<float> roots(std::vector<float> values) {
  for (float& v : values) v = std::sqrt(v);
  return values;
}

}  // namespace

std::vector<float> norm_energy(const Vectors& vectors, const NormValues& norm, size_t first, size_t count) {
  return energy_about(vectors, centres_of(vectors, norm.kind, first, count), norm.epsilon, first, count);
}

Vectors normalized(const Vectors& vectors, const NormValues& norm, size_t count) {
  Vectors out(vectors.rows());
  for (size_t first = 0; first < vectors.rows(); first += count) {
    const std::vector<float> centres = centres_of(vectors, norm.kind, first, count);
    const std::vector<float> scales = roots(energy_about(vectors, centres, norm.epsilon, first, count));
    for (size_t r = first; r < first + count; ++r) {
      const std::span<const float> from = vectors.view().row(r);
      const std::span<float> to = out.view().row(r);
      const float gain = repeated(norm.gains, r, 1), bias = repeated(norm.bias, r, 0);
      for (size_t n = 0; n < to.size(); ++n) to[n] = (from[n] - centres[n]) * scales[n] * gain + bias;
    }
  }
  return out;
}

// With y = (x - centre) * scale and g the gradients by y: scale * (g - mean(g) - y * mean(g y)), mean(g) for LayerNorm.
Vectors through_norm(const Vectors& vectors, const Vectors& gradients, const NormValues& norm, size_t count) {
  Vectors out(vectors.rows());
  const NormValues plain{norm.kind, norm.epsilon, {}, {}};
  const Vectors units = normalized(vectors, plain, count);
  for (size_t first = 0; first < vectors.rows(); first += count) {
    const std::vector<float> scales = roots(norm_energy(vectors, norm, first, count));
    std::vector<float> along(kEstimateTokens, 0.0F);
    for (size_t r = first; r < first + count; ++r) {
      const std::span<const float> from = gradients.view().row(r);
      const float gain = repeated(norm.gains, r, 1);
      for (size_t n = 0; n < from.size(); ++n) out.view().at(r, n) = gain * from[n];
      add_products(out.view().row(r), units.view().row(r), 1 / static_cast<float>(count), along);
    }
    const std::vector<float> centres = centres_of(out, norm.kind, first, count);
    for (size_t r = first; r < first + count; ++r) {
      const std::span<const float> unit = units.view().row(r);
      const std::span<float> to = out.view().row(r);
      for (size_t n = 0; n < to.size(); ++n) to[n] = scales[n] * (to[n] - centres[n] - unit[n] * along[n]);
    }
  }
  return out;
}

Vectors draw_noise(std::span<const float> row_energy, std::span<const float> token_energy, uint64_t seed) {
  Vectors noise(row_energy.size());
  std::mt19937_64 generator(seed);
  const std::vector<float> row_sizes = roots({row_energy.begin(), row_energy.end()});
  const std::vector<float> token_sizes = roots({token_energy.begin(), token_energy.end()});
  std::vector<float> sizes(token_sizes.size());
  for (size_t r = 0; r < row_sizes.size(); ++r) {
    const std::span<float> row = noise.view().row(r);
    for (size_t n = 0; n < sizes.size(); ++n) sizes[n] = row_sizes[r] * token_sizes[n];
    for (size_t n = 0; n < row.size(); n += 64) {
      const uint64_t signs = generator();
      for (size_t k = 0; k < 64; ++k) row[n + k] = (signs >> k & 1) != 0 ? sizes[n + k] : -sizes[n + k];
    }
  }
  return noise;
}

}  // namespace llmcodec
