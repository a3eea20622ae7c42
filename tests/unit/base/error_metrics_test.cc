// SPDX-License-Identifier: BSD-3-Clause
#include "base/error_metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace llmcodec {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

ErrorMetrics measure(const std::vector<float>& original, const std::vector<float>& restored) {
  ErrorMetrics metrics;
  metrics.add(original, restored);
  return metrics;
}

TEST(ErrorMetrics, of_a_small_example) {
  const ErrorMetrics metrics = measure({3, 4, 0}, {3, 3, 1});
  EXPECT_EQ(metrics.count(), 3u);
  EXPECT_DOUBLE_EQ(metrics.signal_energy(), 25);
  EXPECT_DOUBLE_EQ(metrics.error_energy(), 2);
  EXPECT_DOUBLE_EQ(metrics.relative_mse(), 0.08);
  EXPECT_NEAR(metrics.snr_db(), 10.9691, 1e-4);
  EXPECT_DOUBLE_EQ(metrics.mse(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(metrics.max_abs_error(), 1);
  EXPECT_NEAR(metrics.cosine(), 21 / (5 * std::sqrt(19.0)), 1e-12);
}

TEST(ErrorMetrics, exact_zero_and_empty) {
  const ErrorMetrics exact = measure({1, -2}, {1, -2});
  EXPECT_EQ(exact.relative_mse(), 0);
  EXPECT_EQ(exact.snr_db(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(exact.cosine(), 1);
  const ErrorMetrics noise_only = measure({0, 0}, {1, 0});
  EXPECT_EQ(noise_only.relative_mse(), std::numeric_limits<double>::infinity());
  EXPECT_EQ(noise_only.snr_db(), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(noise_only.cosine(), 0);
  for (const ErrorMetrics& metrics : {ErrorMetrics(), measure({0, 0}, {0, 0})}) {
    EXPECT_EQ(metrics.relative_mse(), 0);
    EXPECT_EQ(metrics.mse(), 0);
    EXPECT_EQ(metrics.cosine(), 1);
  }
}

TEST(ErrorMetrics, nan_and_infinity_are_not_summed) {
  const ErrorMetrics metrics =
      measure({1, kNan, kInf, kNan, -kInf, 2, kInf}, {1.5f, kNan, kInf, 0, kInf, kInf, kInf});
  EXPECT_EQ(metrics.count(), 7u);
  EXPECT_DOUBLE_EQ(metrics.error_energy(), 0.25);
  EXPECT_DOUBLE_EQ(metrics.mse(), 0.25);
}

TEST(ErrorMetrics, of_the_largest_floats_do_not_overflow) {
  const float large = std::numeric_limits<float>::max();
  const ErrorMetrics metrics = measure({large, -large}, {-large, large});
  EXPECT_DOUBLE_EQ(metrics.relative_mse(), 4);
  EXPECT_DOUBLE_EQ(metrics.max_abs_error(), 2.0 * large);
}

class RandomPairs : public testing::Test {
 protected:
  RandomPairs() {
    std::mt19937 random(7);
    for (int i = 0; i < 1003; ++i) {
      original_.push_back(static_cast<float>(static_cast<int>(random() % 20001) - 10000) * 1e-4f);
      restored_.push_back(original_.back() +
                          static_cast<float>(static_cast<int>(random() % 201) - 100) * 1e-5f);
    }
  }
  std::vector<float> original_, restored_;
};

// Cutting the sequence elsewhere must not change a single bit of the result.
TEST_F(RandomPairs, give_the_same_sums_however_they_are_cut) {
  const ErrorMetrics whole = measure(original_, restored_);
  for (const size_t piece : {1u, 3u, 8u, 13u, 100u}) {
    ErrorMetrics pieces;
    for (size_t i = 0; i < original_.size(); i += piece) {
      const size_t n = std::min(piece, original_.size() - i);
      pieces.add(std::span(original_).subspan(i, n), std::span(restored_).subspan(i, n));
    }
    EXPECT_EQ(pieces.error_energy(), whole.error_energy());
    EXPECT_EQ(pieces.signal_energy(), whole.signal_energy());
    EXPECT_EQ(pieces.cosine(), whole.cosine());
    EXPECT_EQ(pieces.max_abs_error(), whole.max_abs_error());
  }
}

TEST_F(RandomPairs, merge_to_the_whole) {
  const ErrorMetrics whole = measure(original_, restored_);
  ErrorMetrics merged =
      measure({original_.begin(), original_.begin() + 300}, {restored_.begin(), restored_.begin() + 300});
  merged.merge(
      measure({original_.begin() + 300, original_.end()}, {restored_.begin() + 300, restored_.end()}));
  merged.merge(ErrorMetrics());
  EXPECT_EQ(merged.count(), whole.count());
  EXPECT_NEAR(merged.error_energy(), whole.error_energy(), 1e-12 * whole.error_energy());
  EXPECT_NEAR(merged.cosine(), whole.cosine(), 1e-12);
  EXPECT_EQ(merged.max_abs_error(), whole.max_abs_error());
}

TEST_F(RandomPairs, sums_kept_in_a_file_are_taken_up_again) {
  ErrorMetrics part =
      measure({original_.begin(), original_.begin() + 300}, {restored_.begin(), restored_.begin() + 300});
  const auto back = ErrorMetrics::from_sums(part.sums());
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(back->snr_db(), part.snr_db());
  EXPECT_EQ(back->cosine(), part.cosine());
  EXPECT_EQ(back->max_abs_error(), part.max_abs_error());
  EXPECT_EQ(back->count(), part.count());
  EXPECT_FALSE(ErrorMetrics::from_sums(std::vector<double>(5)).has_value());
  std::vector<double> negative = part.sums();
  negative[32] = -1;  // the count
  EXPECT_FALSE(ErrorMetrics::from_sums(negative).has_value());
}

TEST(Gap, of_the_bound_itself_is_zero) {
  EXPECT_NEAR(gap_db(2, 12.0412), 0, 1e-4);
  EXPECT_NEAR(gap_db(2.3, 12.9), 0.947, 1e-3);
}

}  // namespace
}  // namespace llmcodec
