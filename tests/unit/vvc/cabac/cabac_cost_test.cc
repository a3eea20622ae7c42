// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/cabac/cabac_cost.h"

#include <gtest/gtest.h>

#include <random>

#include "vvc/cabac/cabac_encoder.h"

namespace llmcodec::vvc {
namespace {

TEST(CabacCost, predicts_the_size) {
  // A stationary source: the sum of prices must come within 1 % of the bytes.
  std::mt19937 random(3);
  for (int percent : {2, 10, 30, 50, 80, 97}) {
    CabacEncoder encoder(initial_contexts(32));
    uint64_t bits = 0;
    constexpr int kCount = 200000;
    for (int i = 0; i < kCount; ++i) {
      const int bin = static_cast<int>(random() % 100) < percent;
      CabacCost cost(encoder.contexts());
      cost.bin(bin, ctx::kSigCoeffFlag);
      encoder.bin(bin, ctx::kSigCoeffFlag);
      bits += cost.bits();
    }
    encoder.terminate(1);
    const double coded = 8.0 * static_cast<double>(encoder.finish().size());
    EXPECT_NEAR(static_cast<double>(bits) / kBit / coded, 1.0, 0.01) << percent;
  }
}

TEST(CabacCost, even_odds_cost_a_bit) {
  EXPECT_NEAR(bin_cost(16384, 0) / double{kBit}, 1.0, 0.1);
  EXPECT_NEAR(bin_cost(16384, 1) / double{kBit}, 1.0, 0.1);
  EXPECT_GT(bin_cost(32767, 0), 6 * kBit - kBit / 2);
  EXPECT_LT(bin_cost(32767, 1), kBit / 40);
}

}  // namespace
}  // namespace llmcodec::vvc
