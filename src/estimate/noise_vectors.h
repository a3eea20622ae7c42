// SPDX-License-Identifier: BSD-3-Clause
// What the estimate of moments does with its vectors between two matrices: activations, mixing of tokens,
// shares of experts, sums over tokens. The same bits on any CPU: no libm, sums in a fixed order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/owned_matrix.h"

namespace llmcodec {

inline constexpr size_t kEstimateTokens = 512;
inline constexpr size_t kContext = 16;  // tokens that attention averages over; then a new sequence begins

// A column per token; rows are the elements of their vectors. Rows lie so that a column's elements fall into
// different sets of the cache (quant/subtract_product.h).
class Vectors : public OwnedMatrix<float> {
 public:
  explicit Vectors(size_t rows) : OwnedMatrix(rows, kEstimateTokens, kEstimateTokens + 16) {}
};

// kEstimateTokens ids below `tokens` with the Zipf-Mandelbrot law 1 / (id + 500).
std::vector<uint64_t> draw_tokens(uint64_t tokens);

// silu(gate) * up, element by element; silu(x) = x * logistic(x), right to 1e-4.
void gated(std::span<const float> gate, std::span<const float> up, std::span<float> product);

// What errors of `energy` in that product are at its inputs: adds energy times the squared derivative by gate
// and by up.
void add_gate_energy(std::span<const float> gate, std::span<const float> up, double energy,
                     std::span<double> by_gate, std::span<double> by_up);

// Adds each token's share of its change.
void add(const Vectors& change, std::span<const float> shares, Vectors* sum);

// Each sequence's running mean: position t sees tokens 0..t.
void average_over_context(Vectors* values);
// The mean over the tokens of a sequence of the sum over t of the squared weight that token t gives each:
// what that mean does to the energy of gradients on their way back.
double context_energy();

// `heads` heads of `head_width` rows, several of which share one of `kv_heads`.
Vectors repeat_heads(const Vectors& values, uint64_t heads, uint64_t kv_heads);

// Turns a router's logits into each token's weights for the experts: softmax over its two best, nothing for
// the others. (How many a model really takes matters little: every expert's moments are taken over all
// tokens.)
void keep_two_best(Vectors* logits);

// Means over the tokens of one element's values: of their squares, with a weight per token; and the variance.
double mean_square(std::span<const float> values, std::span<const float> weights);
double variance(std::span<const float> values);
double mean(std::span<const float> values);

}  // namespace llmcodec
