// SPDX-License-Identifier: BSD-3-Clause
// Every instruction set that this machine has must find the levels that Trellis finds.
#include "vvc/trellis/trellis_batch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "every_instruction_set.h"
#include "vvc/cabac/cabac_encoder.h"
#include "vvc/residual/residual_syntax.h"

namespace llmcodec::vvc {
namespace {

constexpr int kOne = 1 << kCoefficientFraction;

// Contexts as they are after some blocks of noise, so that prices are those of real use.
ContextSet learned_contexts(std::mt19937& random, double sigma) {
  ContextSet contexts = initial_contexts(25);
  std::normal_distribution<double> normal(0, sigma * kOne);
  for (int i = 0; i < 4; ++i) {
    std::vector<int32_t> coefficients(1024), levels(1024), raster(1024);
    for (int32_t& c : coefficients) c = static_cast<int32_t>(normal(random));
    Trellis trellis(5, 5, {});
    trellis.set_rates(contexts);
    const TrellisResult result = trellis.quantize(coefficients, levels);
    if (result.last < 0) continue;
    for (int n = 0; n < 1024; ++n) raster[scan_order(5, 5)[n].raster] = levels[static_cast<size_t>(n)];
    CabacEncoder encoder(contexts);
    residual_coding(encoder, {5, 5, true, raster.data()}, result.last);
    contexts = encoder.contexts();
  }
  return contexts;
}

struct Case {
  int log2_width, log2_height, count, blocks;
  double lambda;
  std::vector<int32_t> coefficients;
};

void expect_equal(const Case& c, const ContextSet& contexts) {
  Trellis one(c.log2_width, c.log2_height, {.lambda = c.lambda});
  BatchTrellis all(c.log2_width, c.log2_height, {.lambda = c.lambda});
  one.set_rates(contexts);
  all.set_rates(contexts);
  const auto size = static_cast<size_t>(c.count);
  std::vector<int32_t> expected(size), levels(c.coefficients.size());
  std::vector<TrellisResult> results(static_cast<size_t>(c.blocks));
  all.quantize(c.coefficients, c.count, levels, results);
  for (size_t b = 0; b < results.size(); ++b) {
    const TrellisResult result = one.quantize(std::span(c.coefficients).subspan(b * size, size), expected);
    const std::vector<int32_t> found(levels.begin() + static_cast<ptrdiff_t>(b * size),
                                     levels.begin() + static_cast<ptrdiff_t>((b + 1) * size));
    ASSERT_EQ(found, expected) << c.log2_width << " " << c.log2_height << " count " << c.count << " block "
                               << b;
    ASSERT_EQ(results[b].last, result.last);
    ASSERT_EQ(results[b].cost, result.cost);
    if (result.last >= 0) {
      ASSERT_EQ(results[b].final_state, result.final_state);
    }
  }
}

// Noise of many deviations, sparse blocks, spikes, empty sub-blocks.
Case random_case(std::mt19937& random, int round) {
  constexpr int kShapes[][2] = {{5, 5}, {5, 4}, {4, 5}, {5, 3}, {3, 5}, {2, 2},
                                {4, 4}, {5, 2}, {4, 3}, {3, 4}, {3, 3}};
  Case c;
  c.log2_width = kShapes[round % 11][0], c.log2_height = kShapes[round % 11][1];
  const int size = 1 << (c.log2_width + c.log2_height);
  c.count = round % 3 == 0 ? size : 1 + static_cast<int>(random() % static_cast<unsigned>(size));
  c.blocks = 1 + static_cast<int>(random() % BatchTrellis::kMaxBlocks);
  c.lambda = round % 5 == 0 ? 0.07 : round % 5 == 1 ? 0.9 : 0.45;
  for (int b = 0; b < c.blocks; ++b) {
    std::normal_distribution<double> normal(0, std::exp2(static_cast<double>(random() % 10) - 3) * kOne);
    const unsigned kind = random() % 4;
    for (int n = 0; n < c.count; ++n) {
      double value = normal(random);
      if (kind == 1 && random() % 8 != 0) value = 0;             // sparse
      if (kind == 2 && (n >> 4) % 3 != 0) value /= 64;           // empty sub-blocks
      if (kind == 3 && random() % 200 == 0) value = value * 60;  // beyond what lanes hold, too
      c.coefficients.push_back(static_cast<int32_t>(std::lrint(value)));
    }
  }
  return c;
}

TEST(BatchTrellis, equals_trellis_on_every_instruction_set) {
  on_every_instruction_set([] {
    std::mt19937 random(7);
    const ContextSet contexts[] = {initial_contexts(30), learned_contexts(random, 0.7),
                                   learned_contexts(random, 2.4), learned_contexts(random, 8)};
    for (int round = 0; round < 160 && !HasFatalFailure(); ++round)
      expect_equal(random_case(random, round), contexts[round % 4]);
  });
}

TEST(BatchTrellis, factors_outside_the_lanes_range) {
  std::mt19937 random(3);
  for (double lambda : {0.001, 0.03, 1.0, 7.0, 900.0}) {
    Case c = random_case(random, 3);
    c.lambda = lambda;
    expect_equal(c, initial_contexts(20));
  }
}

TEST(BatchTrellis, largest_coefficients) {
  Case c{5, 5, 1024, 3, 0.45, std::vector<int32_t>(3 * 1024)};
  for (size_t i = 0; i < c.coefficients.size(); ++i)
    c.coefficients[i] = static_cast<int32_t>(i < 1024   ? 65000
                                             : i < 2048 ? 1 << 30
                                                        : 64999) *
                        (i % 3 == 0 ? -1 : 1);
  expect_equal(c, initial_contexts(16));
}

}  // namespace
}  // namespace llmcodec::vvc
