// SPDX-License-Identifier: BSD-3-Clause
// What the estimate of moments does with its vectors between two matrices: activations, shares of experts, sums over
// tokens. The same bits on any CPU: no libm, sums in a fixed order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/owned_matrix.h"
#include "estimate/architecture.h"

namespace llmcodec {

inline constexpr size_t kEstimateTokens = 512;
inline constexpr size_t kContext = 64;  // tokens of a sequence; then a new one begins

// A column per token; rows are the elements of their vectors. Rows lie so that a column's elements fall into
// different sets of the cache (quant/subtract_product.h).
class Vectors : public OwnedMatrix<float> {
 public:
  explicit Vectors(size_t rows) : OwnedMatrix(rows, kEstimateTokens, kEstimateTokens + 16) {}
  size_t rows() const { return view().rows; }
};

// kEstimateTokens ids below `tokens` with the Zipf-Mandelbrot law 1 / (id + 500).
std::vector<uint64_t> draw_tokens(uint64_t tokens);

// activation(gate) * up, element by element, or activation(up) where `gate` is empty. Logistic functions are right to
// 1e-4.
void activate(Activation activation, std::span<const float> gate, std::span<const float> up,
              std::span<float> product);

// What errors of `energy` in that product are at its inputs: adds energy times the squared derivative by gate (nothing
// where it is empty) and by up.
void add_gate_energy(Activation activation, std::span<const float> gate, std::span<const float> up,
                     double energy, std::span<double> by_gate, std::span<double> by_up);

// Adds each token's share of its change.
void add(const Vectors& change, std::span<const float> shares, Vectors* sum);

// Turns a router's logits into each token's weights for the experts: softmax over its two best, nothing for
// the others. (How many a model really takes matters little: every expert's moments are taken over all
// tokens.)
void keep_two_best(Vectors* logits);

// Means over the tokens of one element's values: of their squares, with a weight per token.
double mean_square(std::span<const float> values, std::span<const float> weights);
double mean(std::span<const float> values);

}  // namespace llmcodec
