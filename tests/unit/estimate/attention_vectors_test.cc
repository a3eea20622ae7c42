// SPDX-License-Identifier: BSD-3-Clause
// Attention against its definition in double precision, and its gradients against differences of it.
#include "estimate/attention_vectors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace llmcodec {
namespace {

constexpr size_t kHeads = 4, kKvHeads = 2, kHeadWidth = 8;

Vectors noise(size_t rows, uint32_t seed) {
  Vectors vectors(rows);
  std::mt19937 random(seed);
  for (size_t r = 0; r < rows; ++r) {
    for (float& v : vectors.view().row(r))
      v = static_cast<float>(random() >> 8) / static_cast<float>(1 << 23) - 1;
  }
  return vectors;
}

HeadShape shape_of(bool looks_ahead, bool sinks) {
  HeadShape shape{kHeads, kKvHeads, kHeadWidth, 0.7, looks_ahead, {}};
  if (sinks) shape.sinks = {0.5F, -1, 2, 0};
  return shape;
}

// The sum over all outputs of token n times the gradients given, by the definition.
double definition(const HeadShape& shape, const AttentionGradients& in, size_t n, size_t row) {
  const size_t head = row / kHeadWidth, shared = head / (kHeads / kKvHeads), first = n / kContext * kContext;
  const size_t end = shape.looks_ahead ? first + kContext : n + 1;
  double sum = shape.sinks.empty() ? 0 : std::exp(double{shape.sinks[head]}), mixed = 0;
  for (size_t j = first; j < end; ++j) {
    double score = 0;
    for (size_t c = 0; c < kHeadWidth; ++c)
      score +=
          double{in.query.view().at(head * kHeadWidth + c, n)} * in.key.view().at(shared * kHeadWidth + c, j);
    const double share = std::exp(shape.score_factor * score);
    sum += share;
    mixed += share * in.value.view().at(shared * kHeadWidth + row % kHeadWidth, j);
  }
  return mixed / sum;
}

AttentionGradients some_inputs() {
  return {noise(kHeads * kHeadWidth, 1), noise(kKvHeads * kHeadWidth, 2), noise(kKvHeads * kHeadWidth, 3)};
}

TEST(AttentionVectors, attend_is_its_definition) {
  const AttentionGradients in = some_inputs();
  for (const bool looks_ahead : {false, true}) {
    const HeadShape shape = shape_of(looks_ahead, looks_ahead);
    const Vectors out = attend(shape, in.query, in.key, in.value, 2);
    for (const size_t n : {size_t{0}, size_t{63}, size_t{64}, size_t{100}, size_t{511}}) {
      for (size_t row = 0; row < kHeads * kHeadWidth; row += 5)
        EXPECT_NEAR(out.view().at(row, n), definition(shape, in, n, row), 1e-5) << n << " " << row;
    }
  }
}

// d/dx of sum(g * out) over one sequence, by differences, for a few elements of queries, keys and values.
TEST(AttentionVectors, gradients_are_differences) {
  AttentionGradients in = some_inputs();
  const Vectors given = noise(kHeads * kHeadWidth, 4);
  for (const bool looks_ahead : {false, true}) {
    const HeadShape shape = shape_of(looks_ahead, !looks_ahead);
    const AttentionGradients out = through_attention(shape, in, given, 1);
    const auto loss = [&](size_t sequence) {
      double sum = 0;
      for (size_t n = sequence * kContext; n < (sequence + 1) * kContext; ++n) {
        for (size_t row = 0; row < kHeads * kHeadWidth; ++row)
          sum += given.view().at(row, n) * definition(shape, in, n, row);
      }
      return sum;
    };
    for (const auto part :
         {&AttentionGradients::query, &AttentionGradients::key, &AttentionGradients::value}) {
      for (const size_t n : {size_t{65}, size_t{100}}) {
        const size_t row = 11;
        float& x = (in.*part).view().at(row, n);
        const float before = x;
        x = before + 0.01F;
        const double above = loss(1);
        x = before - 0.01F;
        const double below = loss(1);
        x = before;
        const double slope = (above - below) / 0.02;
        EXPECT_NEAR(std::abs((out.*part).view().at(row, n)), std::abs(slope), 1e-3 * (1 + std::abs(slope)));
      }
    }
  }
}

TEST(AttentionVectors, turns_by_the_place_in_the_sequence) {
  for (const Rotation rotation : {Rotation::kHalves, Rotation::kNeighbours}) {
    const Turning turning{rotation, kHeadWidth, 6, 10000};
    const Vectors before = noise(2 * kHeadWidth, 5);
    Vectors after = before;
    turn(turning, false, &after);
    const size_t n = 64 + 37, pair = 1, head = kHeadWidth;
    const double angle = 37 * std::pow(10000.0, -2.0 * pair / 6);
    const size_t a = head + (rotation == Rotation::kHalves ? pair : 2 * pair);
    const size_t b = rotation == Rotation::kHalves ? a + 3 : a + 1;
    const double x = before.view().at(a, n), y = before.view().at(b, n);
    EXPECT_NEAR(after.view().at(a, n), x * std::cos(angle) - y * std::sin(angle), 1e-5);
    EXPECT_NEAR(after.view().at(b, n), x * std::sin(angle) + y * std::cos(angle), 1e-5);
    EXPECT_EQ(after.view().at(head + 7, n), before.view().at(head + 7, n));  // not turned
    turn(turning, true, &after);
    for (size_t r = 0; r < before.rows(); ++r)
      EXPECT_NEAR(after.view().at(r, n), before.view().at(r, n), 1e-6);
  }
}

}  // namespace
}  // namespace llmcodec
