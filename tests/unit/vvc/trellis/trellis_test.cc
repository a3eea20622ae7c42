// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/trellis/trellis.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <functional>
#include <random>

#include "vvc/cabac/cabac_cost.h"
#include "vvc/cabac/cabac_encoder.h"
#include "vvc/residual/residual_syntax.h"
#include "vvc/trellis/trellis_rates.h"

namespace llmcodec::vvc {
namespace {

constexpr int kOne = 1 << kCoefficientFraction;

// Distortion / lambda + rate of given levels (scan order), by the syntax code itself; 2^-8 bit.
int64_t cost_of(const ContextSet& contexts, int log2_width, int log2_height,
                const std::vector<int32_t>& coefficients, const std::vector<int32_t>& levels, double lambda) {
  const int64_t inverse_lambda = inverse_lambda_of({.lambda = lambda});
  int64_t cost = 0;
  for (size_t n = 0; n < coefficients.size(); ++n) {
    const int64_t d = coefficients[n] - int64_t{levels[n]} * kOne;
    cost += std::min<int64_t>((d * d >> kCoefficientFraction) * inverse_lambda >> 16, 0xffff);
  }
  const ScanOrder& scan = scan_order(log2_width, log2_height);
  std::vector<int32_t> raster(size_t{1} << (log2_width + log2_height));
  for (size_t n = 0; n < levels.size(); ++n) raster[scan[static_cast<int>(n)].raster] = levels[n];
  const TransformBlock block{log2_width, log2_height, true, raster.data()};
  int last = static_cast<int>(levels.size()) - 1;
  while (last >= 0 && levels[static_cast<size_t>(last)] == 0) --last;
  CabacCost bits(contexts);
  bits.bin(last >= 0, ctx::kTuYCodedFlag);
  if (last >= 0) residual_coding(bits, block, last);
  return cost + static_cast<int64_t>(to_rate(bits.bits()));
}

std::vector<int32_t> gaussian(std::mt19937& random, size_t count, double sigma) {
  std::normal_distribution<double> normal(0, sigma * kOne);
  std::vector<int32_t> values(count);
  for (int32_t& v : values) v = static_cast<int32_t>(normal(random));
  return values;
}

TEST(Trellis, cost_is_that_of_the_syntax) {
  std::mt19937 random(1);
  const ContextSet contexts = initial_contexts(30);
  for (int round = 0; round < 300; ++round) {
    const int w = 2 + round % 5, h = 2 + round / 5 % 5;
    const double sigma = std::exp2(static_cast<double>(round % 13) - 3);  // sparse to budget long spent
    const auto count = static_cast<size_t>(scan_order(w, h).count) - random() % 5;
    const std::vector<int32_t> coefficients = gaussian(random, count, sigma);
    std::vector<int32_t> levels(count);
    Trellis trellis(w, h, {.lambda = 0.45});
    trellis.set_rates(contexts);
    const TrellisResult result = trellis.quantize(coefficients, levels);
    // Prices are rounded to 2^-8 bit each.
    const int64_t expected = cost_of(contexts, w, h, coefficients, levels, 0.45);
    ASSERT_NEAR(static_cast<double>(result.cost), static_cast<double>(expected),
                8 + static_cast<double>(count) / 4)
        << "round " << round;
  }
}

TEST(Trellis, levels_suit_the_states) {
  std::mt19937 random(2);
  for (double sigma : {0.5, 3.0, 40.0}) {
    const std::vector<int32_t> coefficients = gaussian(random, 1024, sigma);
    std::vector<int32_t> levels(1024);
    Trellis trellis(5, 5, {});
    trellis.set_rates(initial_contexts(16));
    const TrellisResult result = trellis.quantize(coefficients, levels);
    int state = 0;
    for (int n = result.last; n >= 0; --n) {
      if (n == 0) {
        EXPECT_EQ(state, result.final_state);
      }
      const int magnitude = std::abs(levels[static_cast<size_t>(n)]);
      ASSERT_TRUE(magnitude == 0 || magnitude % 2 == state >> 1) << n;
      state = next_state(state, ((magnitude + (state >> 1)) >> 1) & 1);
    }
  }
}

// All paths with the trellis's own candidates; the survivors' contexts make the search inexact, but on 4x4
// blocks it must come within a fraction of a bit of the optimum, and never below.
TEST(Trellis, close_to_brute_force_on_small_blocks) {
  std::mt19937 random(3);
  const ContextSet contexts = initial_contexts(32);
  double worst = 0, total = 0;
  constexpr int kRounds = 60, kCount = 5;
  for (int round = 0; round < kRounds; ++round) {
    const std::vector<int32_t> coefficients = gaussian(random, kCount, 0.5 + 0.1 * round);
    std::vector<int32_t> levels(kCount);
    Trellis trellis(2, 2, {});
    trellis.set_rates(contexts);
    const int64_t found = trellis.quantize(coefficients, levels).cost;
    int64_t least = INT64_MAX;
    std::vector<int32_t> attempt(kCount);
    const std::function<void(int, int, bool)> search = [&](int n, int state, bool started) {
      if (n < 0) {
        least = std::min(least, cost_of(contexts, 2, 2, coefficients, attempt, 0.45));
        return;
      }
      const int sign = coefficients[static_cast<size_t>(n)] < 0 ? -1 : 1;
      const int near = std::abs(coefficients[static_cast<size_t>(n)]) / kOne;
      for (int magnitude = std::max(0, near - 3); magnitude <= near + 3; ++magnitude) {
        if (magnitude != 0 && magnitude % 2 != state >> 1) continue;
        attempt[static_cast<size_t>(n)] = sign * magnitude;
        const bool starts = started || magnitude != 0;
        search(n - 1, starts ? next_state(state, ((magnitude + (state >> 1)) >> 1) & 1) : 0, starts);
      }
      if (near > 3) {
        attempt[static_cast<size_t>(n)] = 0;
        search(n - 1, started ? next_state(state, 0) : 0, started);
      }
    };
    search(kCount - 1, 0, false);
    ASSERT_GE(found + 8, least);  // prices are rounded
    worst = std::max(worst, static_cast<double>(found - least) / kRateBit);
    total += static_cast<double>(found - least) / kRateBit;
  }
  EXPECT_LT(worst, 1.5);
  EXPECT_LT(total / kRounds, 0.15);
}

TEST(Trellis, zeros_give_an_empty_block) {
  std::vector<int32_t> levels(1024, 7);
  Trellis trellis(5, 5, {});
  trellis.set_rates(initial_contexts(16));
  EXPECT_EQ(trellis.quantize(std::vector<int32_t>(1024), levels).last, -1);
  EXPECT_EQ(levels, std::vector<int32_t>(1024));
}

TEST(Trellis, huge_coefficients_saturate_at_the_largest_level) {
  std::vector<int32_t> coefficients(1024, 1 << 30);
  for (size_t i = 0; i < coefficients.size(); i += 2) coefficients[i] = -(1 << 30);
  std::vector<int32_t> levels(1024);
  Trellis trellis(5, 5, {});
  trellis.set_rates(initial_contexts(16));
  trellis.quantize(coefficients, levels);
  for (size_t n = 0; n < levels.size(); ++n) {
    EXPECT_GE(std::abs(levels[n]), 32760);
    EXPECT_LE(std::abs(levels[n]), 32767);
    EXPECT_EQ(levels[n] < 0, coefficients[n] < 0);
  }
}

// Every point between the levels that a quantiser has: none of them is nearer.
TEST(Trellis, nearest_level_has_the_parity_of_the_state) {
  for (int state = 0; state < 4; ++state) {
    for (int coefficient = -5000; coefficient <= 5000; ++coefficient) {
      const int level = nearest_level(coefficient, state);
      ASSERT_EQ(std::abs(level) % 2, state >> 1) << coefficient;
      ASSERT_LE(std::abs(coefficient - kOne * level), kOne) << coefficient << " in state " << state;
    }
    for (int32_t huge : {1 << 30, -(1 << 30)}) {
      EXPECT_EQ(std::abs(nearest_level(huge, state)), state < 2 ? 32766 : 32767);
      EXPECT_EQ(nearest_level(huge, state) < 0, huge < 0);
    }
  }
}

}  // namespace
}  // namespace llmcodec::vvc
