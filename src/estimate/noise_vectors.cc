// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/noise_vectors.h"

#include <algorithm>
#include <cmath>
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

struct Point {
  float value = 0;
  double slope = 0;
};

struct Silu {
  LLMC_INLINE Point operator()(float x) const {
    const float share = logistic(x);
    return {x * share, share * (1 + x * (1 - share))};
  }
};

// By its usual approximation x * logistic(1.5958 (x + 0.044715 x^3)).
struct Gelu {
  LLMC_INLINE Point operator()(float x) const {
    constexpr float kFactor = 1.5957691F, kCube = 0.044715F;
    const float share = logistic(kFactor * (x + kCube * x * x * x));
    return {x * share, share + x * share * (1 - share) * kFactor * (1 + 3 * kCube * x * x)};
  }
};

struct Relu {
  LLMC_INLINE Point operator()(float x) const { return {x > 0 ? x : 0, x > 0 ? 1.0 : 0.0}; }
};

struct SquaredRelu {
  LLMC_INLINE Point operator()(float x) const {
    const float above = x > 0 ? x : 0;
    return {above * above, 2 * above};
  }
};

constexpr float kClamp = 7;  // gpt-oss: swiglu_limit

struct ClampedSwish {
  LLMC_INLINE Point operator()(float x) const {
    constexpr float kFactor = 1.702F;
    const float inside = x < kClamp ? x : kClamp, share = logistic(kFactor * inside);
    return {inside * share, x < kClamp ? share * (1 + kFactor * x * (1 - share)) : 0.0F};
  }
};

// Its partner is clamped too, and 1 is added.
struct ClampedPartner {
  LLMC_INLINE Point operator()(float x) const {
    const float above = x > -kClamp ? x : -kClamp, inside = above < kClamp ? above : kClamp;
    return {inside + 1, inside == x ? 1.0 : 0.0};
  }
};

struct Same {
  LLMC_INLINE Point operator()(float x) const { return {x, 1}; }
};

// Of a gate and its partner, or of one without a gate.
struct Values {
  std::span<const float> gate, up;
  std::span<float> product;

  template <class Activated, class Partner>
  LLMC_INLINE void work(Activated activated, Partner partner) const {
    if (gate.empty()) {
      for (size_t i = 0; i < product.size(); ++i) product[i] = activated(up[i]).value;
    } else {
      for (size_t i = 0; i < product.size(); ++i)
        product[i] = activated(gate[i]).value * partner(up[i]).value;
    }
  }
};

struct Energies {
  std::span<const float> gate, up;
  double energy = 0;
  std::span<double> by_gate, by_up;

  template <class Activated, class Partner>
  LLMC_INLINE void work(Activated activated, Partner partner) const {
    for (size_t i = 0; gate.empty() && i < up.size(); ++i) {
      const double slope = activated(up[i]).slope;
      by_up[i] += energy * slope * slope;
    }
    for (size_t i = 0; i < gate.size(); ++i) {
      const Point a = activated(gate[i]), b = partner(up[i]);
      const double slope = a.slope * b.value, other = a.value * b.slope;
      by_gate[i] += energy * slope * slope;
      by_up[i] += energy * other * other;
    }
  }
};

template <class Loops>
LLMC_INLINE void with_functions(Activation activation, const Loops& loops) {
  switch (activation) {
    case Activation::kSilu:
      return loops.work(Silu(), Same());
    case Activation::kGelu:
      return loops.work(Gelu(), Same());
    case Activation::kRelu:
      return loops.work(Relu(), Same());
    case Activation::kSquaredRelu:
      return loops.work(SquaredRelu(), Same());
    case Activation::kClampedSwiglu:
      return loops.work(ClampedSwish(), ClampedPartner());
  }
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
void activate(Activation activation, std::span<const float> gate, std::span<const float> up,
              std::span<float> product) {
  with_functions(activation, Values{gate, up, product});
}

LLMC_WIDER_VECTORS
void add_gate_energy(Activation activation, std::span<const float> gate, std::span<const float> up,
                     double energy, std::span<double> by_gate, std::span<double> by_up) {
  with_functions(activation, Energies{gate, up, energy, by_gate, by_up});
}

LLMC_WIDER_VECTORS
void add(const Vectors& change, std::span<const float> shares, Vectors* sum) {
  for (size_t r = 0; r < change.rows(); ++r) {
    const std::span<const float> from = change.view().row(r);
    const std::span<float> to = sum->view().row(r);
    for (size_t n = 0; n < to.size(); ++n) to[n] += shares[n] * from[n];
  }
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

}  // namespace llmcodec
