// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/noise_vectors.h"

#include <algorithm>
#include <numbers>
#include <random>

#include "base/wider_vectors.h"
#include "quant/portable_math.h"

namespace llmcodec {
namespace {

// 1 / (1 + exp(-x)), by a rational approximation of tanh(x / 2).
LLMC_INLINE float logistic(float x) {
  const float half = x / 2, above = half > -4.97F ? half : -4.97F, y = above < 4.97F ? above : 4.97F;
  const float y2 = y * y;
  const float top = y * (135135 + y2 * (17325 + y2 * (378 + y2)));
  const float bottom = 135135 + y2 * (62370 + y2 * (3150 + y2 * 28));
  return (1 + top / bottom) / 2;
}

// Partial sums, so that one addition need not wait for the one before; in a fixed order.
template <class Value>
LLMC_INLINE double sum_up(size_t count, Value value) {
  constexpr size_t kLanes = 8;
  double sums[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (size_t k = 0; k < kLanes; ++k) sums[k] += value(i + k);
  for (; i < count; ++i) sums[0] += value(i);
  return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
}

}  // namespace

std::vector<uint64_t> draw_tokens(uint64_t tokens) {
  // By inverting the law's distribution function.
  constexpr double kOffset = 500;
  const double octaves = portable_log2((static_cast<double>(tokens) + kOffset) / kOffset);
  std::mt19937_64 generator(1);
  std::vector<uint64_t> ids(kEstimateTokens);
  for (uint64_t& id : ids) {
    const double uniform = static_cast<double>(generator() >> 11) * 0x1p-53;
    const double drawn = kOffset * portable_exp2(uniform * octaves) - kOffset;
    id = std::min(tokens - 1, static_cast<uint64_t>(std::max(0.0, drawn)));
  }
  return ids;
}

LLMC_WIDER_VECTORS
void gated(std::span<const float> gate, std::span<const float> up, std::span<float> product) {
  for (size_t i = 0; i < product.size(); ++i) product[i] = gate[i] * logistic(gate[i]) * up[i];
}

LLMC_WIDER_VECTORS
void add_gate_energy(std::span<const float> gate, std::span<const float> up, double energy,
                     std::span<double> by_gate, std::span<double> by_up) {
  for (size_t i = 0; i < gate.size(); ++i) {
    const float share = logistic(gate[i]);
    const double slope = share * (1 + gate[i] * (1 - share)) * up[i], silu = gate[i] * share;
    by_gate[i] += energy * slope * slope;
    by_up[i] += energy * silu * silu;
  }
}

LLMC_WIDER_VECTORS
void add(const Vectors& change, std::span<const float> shares, Vectors* sum) {
  for (size_t r = 0; r < change.view().rows; ++r) {
    const std::span<const float> from = change.view().row(r);
    const std::span<float> to = sum->view().row(r);
    for (size_t n = 0; n < to.size(); ++n) to[n] += shares[n] * from[n];
  }
}

void average_over_context(Vectors* values) {
  for (size_t r = 0; r < values->view().rows; ++r) {
    const std::span<float> row = values->view().row(r);
    for (size_t first = 0; first < row.size(); first += kContext) {
      float sum = 0;
      for (size_t t = 0; t < kContext; ++t) {
        sum += row[first + t];
        row[first + t] = sum / static_cast<float>(t + 1);
      }
    }
  }
}

double context_energy() {
  double sum = 0;  // token t takes 1 / (t + 1) of each of its t + 1 tokens
  for (size_t t = 0; t < kContext; ++t) sum += 1.0 / static_cast<double>(t + 1);
  return sum / kContext;
}

Vectors repeat_heads(const Vectors& values, uint64_t heads, uint64_t kv_heads) {
  const uint64_t head_width = values.view().rows / kv_heads;
  Vectors repeated(heads * head_width);
  for (size_t r = 0; r < repeated.view().rows; ++r) {
    const size_t head = r / head_width * kv_heads / heads;
    std::ranges::copy(values.view().row(head * head_width + r % head_width), repeated.view().row(r).begin());
  }
  return repeated;
}

void keep_two_best(Vectors* logits) {
  const auto all = logits->view();
  for (size_t n = 0; n < all.cols; ++n) {
    const auto best_but = [&](size_t other) {
      size_t best = other == 0 ? 1 : 0;
      for (size_t e = 0; e < all.rows; ++e) {
        if (e != other && all.at(e, n) > all.at(best, n)) best = e;
      }
      return best;
    };
    const size_t first = best_but(all.rows), second = all.rows > 1 ? best_but(first) : first;
    const double ahead = std::min(60.0F, all.at(first, n) - all.at(second, n));
    const auto share = static_cast<float>(1 / (1 + portable_exp2(-ahead * std::numbers::log2e)));
    for (size_t e = 0; e < all.rows; ++e) all.at(e, n) = 0;
    all.at(first, n) += share;
    all.at(second, n) += 1 - share;
  }
}

double mean_square(std::span<const float> values, std::span<const float> weights) {
  const double sum =
      sum_up(values.size(), [&](size_t n) { return double{weights[n]} * values[n] * values[n]; });
  return sum / sum_up(weights.size(), [&](size_t n) { return double{weights[n]}; });
}

double mean(std::span<const float> values) {
  return sum_up(values.size(), [&](size_t n) { return double{values[n]}; }) /
         static_cast<double>(values.size());
}

double variance(std::span<const float> values) {
  const double centre = mean(values);
  const double sum = sum_up(values.size(), [&](size_t n) {
    const double distance = values[n] - centre;
    return distance * distance;
  });
  return sum / static_cast<double>(values.size());
}

}  // namespace llmcodec
