// SPDX-License-Identifier: BSD-3-Clause
#include "quant/feedback.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <numeric>
#include <string>

#include "random_matrix.h"

namespace llmcodec {
namespace {

using testing::OwnedMatrix;

// The next block "NAME rows cols" and its numbers.
OwnedMatrix read_block(std::ifstream& file, const std::string& expected_name) {
  std::string name;
  size_t rows = 0, cols = 0;
  file >> name >> rows >> cols;
  EXPECT_EQ(name, expected_name);
  OwnedMatrix block(rows, cols);
  for (float& v : block.values) {
    double value = 0;
    file >> value;
    v = static_cast<float>(value);
  }
  EXPECT_TRUE(file.good());
  return block;
}

// Moments of correlated inputs of very different sizes, from `samples` drawn vectors.
OwnedMatrix correlated_moments(size_t cols, size_t samples, unsigned seed) {
  const OwnedMatrix mixing = testing::gaussian(cols, cols, seed, 0.6);
  const OwnedMatrix drawn = testing::gaussian(samples, cols, seed + 1);
  OwnedMatrix x(samples, cols), moments(cols, cols);
  for (size_t s = 0; s < samples; ++s) {
    for (size_t i = 0; i < cols; ++i) {
      for (size_t k = 0; k < cols / 4 + 1; ++k) x.at(s, i) += 1000 * mixing.at(i, k) * drawn.at(s, k);
      x.at(s, i) += 0.1f * drawn.at(s, i);
    }
  }
  for (size_t i = 0; i < cols; ++i) {
    for (size_t j = 0; j < cols; ++j) {
      double sum = 0;
      for (size_t s = 0; s < samples; ++s) sum += double{x.at(s, i)} * x.at(s, j);
      moments.at(i, j) = static_cast<float>(sum / static_cast<double>(samples));
    }
  }
  return moments;
}

std::vector<uint32_t> identity(size_t n) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0u);
  return order;
}

double weighted_error(const OwnedMatrix& wanted, const OwnedMatrix& got, const OwnedMatrix& moments) {
  double sum = 0;
  for (size_t r = 0; r < wanted.rows; ++r) {
    for (size_t i = 0; i < wanted.cols; ++i) {
      for (size_t j = 0; j < wanted.cols; ++j) {
        sum += double{wanted.at(r, i) - got.at(r, i)} * moments.at(i, j) *
               double{wanted.at(r, j) - got.at(r, j)};
      }
    }
  }
  return sum;
}

OwnedMatrix transposed(const OwnedMatrix& matrix) {
  OwnedMatrix turned(matrix.cols, matrix.rows);
  for (size_t r = 0; r < matrix.rows; ++r)
    for (size_t j = 0; j < matrix.cols; ++j) turned.at(j, r) = matrix.at(r, j);
  return turned;
}

// Strip `index` of `weights` (a row for each column of the matrix) as it is to be coded after these errors.
OwnedMatrix target_of(const Feedback& loop, size_t index, const OwnedMatrix& errors,
                      const OwnedMatrix& weights) {
  const size_t begin = loop.strip_begin(index), end = loop.strip_begin(index + 1);
  OwnedMatrix strip(end - begin, weights.cols);
  for (size_t k = begin; k < end; ++k)
    for (size_t r = 0; r < weights.cols; ++r) strip.at(k - begin, r) = weights.at(k, r);
  loop.correct(index, errors.view().block(0, 0, begin, weights.cols), strip.view());
  return strip;
}

// Codes `weights` with one plain step, strip by strip, with or without feedback.
OwnedMatrix code(const OwnedMatrix& weights, const Feedback& loop, float step, bool feed_back) {
  const OwnedMatrix wanted = transposed(weights);
  OwnedMatrix errors(weights.cols, weights.rows), decoded = errors;
  for (size_t b = 0; b < loop.strips(); ++b) {
    const size_t begin = loop.strip_begin(b);
    const OwnedMatrix strip = target_of(loop, b, errors, wanted);
    for (size_t k = 0; k < strip.rows; ++k) {
      for (size_t r = 0; r < weights.rows; ++r) {
        decoded.at(begin + k, r) = std::nearbyint(strip.at(k, r) / step) * step;
        if (feed_back) errors.at(begin + k, r) = wanted.at(begin + k, r) - decoded.at(begin + k, r);
      }
    }
  }
  return transposed(decoded);
}

TEST(Feedback, agrees_with_the_numpy_model) {
  std::ifstream file(std::string(LLMCODEC_TEST_DATA) + "/quant/feedback_example.txt");
  const OwnedMatrix moments = read_block(file, "moments");
  const OwnedMatrix classes = read_block(file, "classes");
  const OwnedMatrix steps = read_block(file, "steps");
  const OwnedMatrix order_values = read_block(file, "order");
  const OwnedMatrix weights = transposed(read_block(file, "weights"));
  const std::vector<uint32_t> order(order_values.values.begin(), order_values.values.end());

  const auto ours = closed_loop_columns(moments.view(), {.shrinkage = 0});
  ASSERT_TRUE(ours.is_ok());
  for (size_t j = 0; j < steps.cols; ++j) {
    EXPECT_EQ(ours->classes[j], classes.values[j]) << j;
    EXPECT_NEAR(ours->steps[j] / steps.values[j], 1, 1e-5) << j;
  }

  const auto loop = Feedback::create(moments.view(), order, {.damping = 0.01, .shrinkage = 0, .strip = 16});
  ASSERT_TRUE(loop.is_ok());
  ASSERT_EQ(loop->strips(), 3u);
  // The model works as GPTQ does: an error is what a strip lost of its corrected weights, and moves all that is left at once.
  OwnedMatrix errors(weights.rows, weights.cols), target = target_of(*loop, 0, errors, weights);
  for (size_t b = 0;; ++b) {
    const size_t begin = loop->strip_begin(b), end = loop->strip_begin(b + 1);
    const OwnedMatrix error = transposed(read_block(file, "error"));
    for (size_t k = begin; k < end; ++k) {
      for (size_t r = 0; r < weights.cols; ++r)
        errors.at(k, r) = error.at(k - begin, r) + weights.at(k, r) - target.at(k - begin, r);
    }
    if (end == weights.rows) break;
    const OwnedMatrix expected = transposed(read_block(file, "rest"));
    target = target_of(*loop, b + 1, errors, weights);
    for (size_t k = 0; k < target.rows; ++k)
      for (size_t r = 0; r < weights.cols; ++r) EXPECT_NEAR(target.at(k, r), expected.at(k, r), 2e-4);
  }
}

TEST(Feedback, lowers_the_weighted_error_on_correlated_inputs) {
  const OwnedMatrix moments = correlated_moments(96, 400, 3);
  const OwnedMatrix weights = testing::gaussian(24, 96, 5);
  for (size_t strip : {1u, 32u, 40u}) {
    const auto loop = Feedback::create(moments.view(), identity(96), {.strip = strip});
    ASSERT_TRUE(loop.is_ok());
    const double open = weighted_error(weights, code(weights, *loop, 0.02f, false), moments);
    const double closed = weighted_error(weights, code(weights, *loop, 0.02f, true), moments);
    EXPECT_LT(closed, 0.5 * open) << "strip " << strip;
  }
}

TEST(Feedback, shrinkage_takes_its_part_off_the_diagonal) {
  const OwnedMatrix moments = correlated_moments(40, 200, 4);
  OwnedMatrix shrunk = moments;
  for (size_t i = 0; i < 40; ++i) {
    for (size_t j = 0; j < 40; ++j) shrunk.at(i, j) *= i == j ? 1 : 0.75f;
  }
  const auto ours = closed_loop_columns(moments.view(), {.shrinkage = 0.25});
  const auto expected = closed_loop_columns(shrunk.view(), {.shrinkage = 0});
  ASSERT_TRUE(ours.is_ok() && expected.is_ok());
  for (size_t j = 0; j < 40; ++j) EXPECT_NEAR(ours->steps[j] / expected->steps[j], 1, 1e-5) << j;
}

TEST(Feedback, correction_is_the_least_squares_answer) {
  // After the first strip's error is fixed, no other change of the rest gives a smaller weighted error.
  const size_t n = 40;
  const double damping = 1e-3;
  OwnedMatrix moments = correlated_moments(n, 200, 8);
  const auto loop =
      Feedback::create(moments.view(), identity(n), {.damping = damping, .shrinkage = 0, .strip = 8});
  ASSERT_TRUE(loop.is_ok());
  double trace = 0;
  for (size_t i = 0; i < n; ++i) trace += moments.at(i, i);
  for (size_t i = 0; i < n; ++i) moments.at(i, i) += static_cast<float>(damping * trace / n);
  OwnedMatrix errors(n, 1);
  const OwnedMatrix wanted(n, 1), error = testing::gaussian(8, 1, 9);
  std::copy(error.values.begin(), error.values.end(), errors.values.begin());
  // Each strip loses nothing of its corrected weights.
  for (size_t b = 1; b < loop->strips(); ++b) {
    const OwnedMatrix strip = target_of(*loop, b, errors, wanted);
    for (size_t k = 0; k < strip.rows; ++k) errors.at(loop->strip_begin(b) + k, 0) = -strip.at(k, 0);
  }
  OwnedMatrix got = transposed(errors);
  const OwnedMatrix nothing(1, n);
  const double best = weighted_error(nothing, got, moments);
  for (size_t j = 8; j < n; ++j) {
    for (float nudge : {-0.003f, 0.003f}) {
      got.values[j] += nudge;
      EXPECT_GE(weighted_error(nothing, got, moments), best * (1 - 1e-4));
      got.values[j] -= nudge;
    }
  }
}

TEST(Feedback, uncorrelated_inputs_get_no_correction_and_steps_by_deviation) {
  OwnedMatrix moments(5, 5);
  const std::vector<float> diagonal = {4, 1, 16, 0.25f, 1};
  for (size_t i = 0; i < 5; ++i) moments.at(i, i) = diagonal[i];
  const auto columns = closed_loop_columns(moments.view(), {.damping = 0});
  ASSERT_TRUE(columns.is_ok());
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_NEAR(columns->steps[i] / columns->steps[1], 1 / std::sqrt(diagonal[i]), 1e-5);
  }
  const auto loop = Feedback::create(moments.view(), identity(5), {.strip = 2});
  const OwnedMatrix errors = testing::gaussian(5, 3, 1);
  for (float v : target_of(*loop, 2, errors, OwnedMatrix(5, 3)).values) EXPECT_EQ(v, 0.0f);
  EXPECT_EQ(columns->classes,
            (std::vector<uint8_t>{4, 7, 2, 7, 7}));  // octaves over the mean: 1.2, -0.8, 3.2, -2.8
}

TEST(Feedback, odd_sizes_and_strips_beyond_the_columns) {
  for (size_t n : {1u, 2u, 31u, 33u, 65u, 100u}) {
    const OwnedMatrix moments = correlated_moments(n, 150, static_cast<unsigned>(n));
    for (size_t strip : {1u, 7u, 32u, 1000u}) {
      const auto loop = Feedback::create(moments.view(), identity(n), {.strip = strip});
      ASSERT_TRUE(loop.is_ok());
      EXPECT_EQ(loop->strips(), (n + strip - 1) / strip);
      EXPECT_EQ(loop->strip_begin(loop->strips()), n);
      const OwnedMatrix weights = testing::gaussian(3, n, 2);
      for (float v : code(weights, *loop, 0.01f, true).values) EXPECT_TRUE(std::isfinite(v));
    }
  }
}

TEST(Feedback, one_strip_of_columns_equals_many_of_them_for_the_same_errors) {
  // What a strip of 16 gets from errors of all before, the second half of a strip of 32 gets too, if nothing of the first half
  // was lost of what it was corrected to.
  const size_t n = 64;
  const OwnedMatrix moments = correlated_moments(n, 300, 11);
  const auto narrow = Feedback::create(moments.view(), identity(n), {.strip = 16});
  const auto wide = Feedback::create(moments.view(), identity(n), {.strip = 32});
  OwnedMatrix errors = testing::gaussian(n, 2, 1);
  const OwnedMatrix wanted(n, 2), expected = target_of(*wide, 1, errors, wanted);
  const OwnedMatrix first = target_of(*narrow, 2, errors, wanted);
  for (size_t k = 0; k < 16; ++k) {
    for (size_t r = 0; r < 2; ++r) {
      EXPECT_NEAR(first.at(k, r), expected.at(k, r), 1e-4);
      errors.at(32 + k, r) = -first.at(k, r);
    }
  }
  const OwnedMatrix second = target_of(*narrow, 3, errors, wanted);
  for (size_t k = 0; k < 16; ++k)
    for (size_t r = 0; r < 2; ++r) EXPECT_NEAR(second.at(k, r), expected.at(16 + k, r), 1e-4);
}

TEST(Feedback, same_bits_for_any_split_of_the_rows) {
  const size_t n = 77;
  const OwnedMatrix moments = correlated_moments(n, 200, 4);
  const auto loop = Feedback::create(moments.view(), identity(n), {});
  const OwnedMatrix errors = testing::gaussian(64, 9, 6), weights = testing::gaussian(13, 9, 7);
  OwnedMatrix together = weights, alone = weights;
  loop->correct(2, errors.view(), together.view());
  for (size_t r = 0; r < 9; ++r)
    loop->correct(2, errors.view().block(0, r, 64, 1), alone.view().block(0, r, 13, 1));
  EXPECT_EQ(together.values, alone.values);
}

TEST(Feedback, dead_and_repeated_inputs_are_damped) {
  OwnedMatrix moments = correlated_moments(40, 200, 12);
  for (size_t i = 0; i < 40; ++i) {
    moments.at(i, 7) = moments.at(7, i) = 0;  // a dead input
    // The same input twice.
    moments.at(i, 9) = moments.at(9, i) = i == 9 ? moments.at(8, 8) : moments.at(8, i);
  }
  moments.at(8, 9) = moments.at(9, 8) = moments.at(8, 8);
  const auto loop = Feedback::create(moments.view(), identity(40), {});
  ASSERT_TRUE(loop.is_ok());
  const OwnedMatrix decoded = code(testing::gaussian(4, 40, 3), *loop, 0.02f, true);
  for (float v : decoded.values) EXPECT_LT(std::fabs(v), 1);
}

TEST(Feedback, bad_moments_and_orders_are_named) {
  const auto message = [](const OwnedMatrix& m, const std::vector<uint32_t>& order,
                          FeedbackOptions options = {}) {
    const auto loop = Feedback::create(m.view(), order, options);
    EXPECT_FALSE(loop.is_ok());
    if (loop.is_ok()) return std::string();
    EXPECT_EQ(loop.error().kind, ErrorKind::kInvalidArgument);
    return loop.error().message;
  };
  OwnedMatrix good = correlated_moments(4, 50, 1);
  EXPECT_NE(message(OwnedMatrix(3, 4), identity(3)).find("not a square"), std::string::npos);
  EXPECT_NE(message(OwnedMatrix(3, 3), identity(3)).find("diagonal is zero"), std::string::npos);
  EXPECT_NE(message(good, {0, 1, 2}).find("order"), std::string::npos);
  EXPECT_NE(message(good, {0, 1, 1, 2}).find("permutation"), std::string::npos);
  EXPECT_NE(message(good, {0, 1, 4, 2}).find("permutation"), std::string::npos);
  EXPECT_NE(message(good, identity(4), {.strip = 0}).find("strip"), std::string::npos);
  OwnedMatrix nan = good;
  nan.at(1, 2) = std::nanf("");
  EXPECT_NE(message(nan, identity(4)).find("[1, 2] is not finite"), std::string::npos);
  OwnedMatrix negative = good;
  negative.at(3, 3) = -1;
  EXPECT_NE(message(negative, identity(4)).find("negative"), std::string::npos);
  OwnedMatrix indefinite(2, 2);
  indefinite.values = {1, 5, 5, 1};
  EXPECT_NE(message(indefinite, identity(2)).find("not positive definite at column 0"), std::string::npos);
  EXPECT_FALSE(closed_loop_columns(indefinite.view()).is_ok());
}

}  // namespace
}  // namespace llmcodec
