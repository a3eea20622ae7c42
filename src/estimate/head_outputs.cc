// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/head_outputs.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>
#include <limits>
#include <numbers>

#include "base/ordered_run.h"
#include "base/wider_vectors.h"

namespace llmcodec {
namespace {

// More say nothing new, and their logits of a large vocabulary are held at once.
constexpr size_t kTokens = 64;

// Tokens from all sequences, at all distances from their beginning.
OwnedMatrix<float> some_tokens(const Vectors& inputs) {
  constexpr size_t kStep = kEstimateTokens / kTokens;
  OwnedMatrix<float> some(inputs.rows(), kTokens, kTokens + 16);
  for (size_t r = 0; r < inputs.rows(); ++r) {
    for (size_t n = 0; n < kTokens; ++n) some.view().at(r, n) = inputs.view().at(r, n * kStep + n % kStep);
  }
  return some;
}

// 2^x for x <= 0, right to 2e-6; next to nothing below -120, and where x is no number.
LLMC_INLINE float power_of_two(float x) {
  constexpr float kTerms[] = {1.3215487e-6F, 1.5252734e-5F, 1.5403530e-4F, 1.3333558e-3F,
                              9.6181291e-3F, 5.5504109e-2F, 2.4022651e-1F, 6.9314718e-1F};  // ln(2)^n / n!
  const float inside = x > -120 ? x : -120;
  const auto whole = static_cast<int32_t>(inside);
  const float part = inside - static_cast<float>(whole);
  float sum = 0;
  for (const float term : kTerms) sum = (sum + term) * part;
  return (1 + sum) * std::bit_cast<float>((whole + 127) << 23);
}

using Sums = std::array<double, kTokens>;
using Logits = std::array<float, kTokens>;

LLMC_WIDER_VECTORS
void raise(std::span<const float> row, Logits* highest) {
  for (size_t n = 0; n < kTokens; ++n) (*highest)[n] = std::max((*highest)[n], row[n]);
}

LLMC_WIDER_VECTORS
void add_powers(std::span<const float> row, float octaves, const Logits& highest, Sums* sums) {
  for (size_t n = 0; n < kTokens; ++n) (*sums)[n] += power_of_two(octaves * (row[n] - highest[n]));
}

LLMC_WIDER_VECTORS
double mean_variance(std::span<const float> row, float octaves, const Logits& highest, const Logits& shares) {
  Logits all;
  for (size_t n = 0; n < kTokens; ++n) {
    const float p = power_of_two(octaves * (row[n] - highest[n])) * shares[n];
    all[n] = p * (1 - p);
  }
  double sum = 0;
  for (const float variance : all) sum += double{variance};
  return sum / kTokens;
}

// Rows in parts, whose sums are added in order.
constexpr size_t kParts = 64;
Status for_parts(unsigned threads, size_t rows, const std::function<void(size_t part, size_t row)>& work) {
  return for_all(threads, kParts, [&](size_t part) {
    for (size_t r = part * rows / kParts; r < (part + 1) * rows / kParts; ++r) work(part, r);
    return Status::ok();
  });
}

}  // namespace

Result<std::vector<double>> head_outputs(LinearProducts& products, const Linear& head, const Vectors& inputs,
                                         double factor, unsigned threads) {
  OwnedMatrix<float> logits(head.outputs, kTokens, kTokens + 16);
  LLMC_RETURN_IF_ERROR(products.forward(head, some_tokens(inputs).view(), logits.view()));
  const MatrixView<const float> all = std::as_const(logits).view();
  const auto octaves = static_cast<float>(factor * std::numbers::log2e);

  Logits most;
  most.fill(std::numeric_limits<float>::lowest());
  std::vector<Logits> highest(kParts, most);
  LLMC_RETURN_IF_ERROR(
      for_parts(threads, all.rows, [&](size_t part, size_t r) { raise(all.row(r), &highest[part]); }));
  for (const Logits& part : highest) raise(part, &most);

  std::vector<Sums> sums(kParts, Sums{});
  LLMC_RETURN_IF_ERROR(for_parts(
      threads, all.rows, [&](size_t part, size_t r) { add_powers(all.row(r), octaves, most, &sums[part]); }));
  Logits shares;
  for (size_t n = 0; n < kTokens; ++n) {
    double sum = 0;
    for (const Sums& part : sums) sum += part[n];
    shares[n] = static_cast<float>(1 / sum);
  }

  std::vector<double> moments(all.rows);
  LLMC_RETURN_IF_ERROR(for_parts(threads, all.rows, [&](size_t, size_t r) {
    moments[r] = mean_variance(all.row(r), octaves, most, shares);
  }));
  return moments;
}

}  // namespace llmcodec
