// SPDX-License-Identifier: BSD-3-Clause
// What the estimate of moments does with its vectors between two matrices: activations, mixing of tokens,
// shares of experts, sums over tokens. The same bits on any CPU: no libm, sums in a fixed order.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "pipeline/owned_matrix.h"

namespace llmcodec {

inline constexpr size_t kEstimateTokens = 512;
inline constexpr size_t kContext = 16;  // tokens that attention averages over; then a new sequence begins

// A column per token; rows are the elements of their vectors.
using Vectors = OwnedMatrix<float>;

// kEstimateTokens ids below `tokens` with the Zipf-Mandelbrot law 1 / (id + 500).
std::vector<uint64_t> draw_tokens(uint64_t tokens);

// x * logistic(x) and its derivative, right to 1e-4.
float silu(float x);
float silu_slope(float x);

// silu(gate) * up, element by element.
void gated(std::span<const float> gate, std::span<const float> up, std::span<float> product);

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
