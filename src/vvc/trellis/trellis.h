// SPDX-License-Identifier: BSD-3-Clause
// Rate-distortion optimal levels of one luma transform block under dependent quantisation:
// the encoder's only search.
//
// How it works. Dependent quantisation lets the parity of every level choose the quantiser of the next one
// through a machine of four states. So the block is a path through 4 states x coefficients, coded from
// the last coefficient to position 0, and the Viterbi algorithm keeps the cheapest path into each state:
// cost = distortion / lambda + rate. Every survivor carries what its rates depend on:
// template sums of the sub-block at hand, the map of coded sub-blocks, and how much of the block's budget
// of context bins it has spent. Probabilities are frozen for the block. Approximations: four survivors only
// (contexts make the true state larger), and two non-zero candidates a state, the nearest of each parity.
//
// All arithmetic is integer: coefficients in 2^-8 of the union step Du, costs in 2^-8 bit; the same input
// gives the same levels on every machine.
//
// Example (const ContextSet& contexts, std::span<const int32_t> coefficients):
//
//   Trellis trellis(5, 5, {.lambda = 0.45});
//   trellis.set_rates(contexts);                               // once per block, or less often for speed
//   std::vector<int32_t> levels(coefficients.size());
//   const TrellisResult result = trellis.quantize(coefficients, levels);
//
// Thread-safety: one Trellis per thread (it owns its working memory, about 50 KB).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "vvc/cabac/contexts.h"

namespace llmcodec::vvc {

// Fractional bits of the coefficients that the trellis takes: 1.0 = one union step Du.
inline constexpr int kCoefficientFraction = 8;

struct TrellisOptions {
  // Lagrange factor in Du^2 per bit. 0.45 gives the least gap to the rate-distortion bound for Gaussian input
  // at 1 to 3 bits (docs/decisions/010-spectral-layout.md); larger saves bits.
  double lambda = 0.45;
};

// 2^16 / lambda, rounded: the factor of distortions.
int64_t inverse_lambda_of(const TrellisOptions& options);

// The level nearest to `coefficient` among the even ones (states 0 and 1: quantiser Q0) or the odd ones
// (states 2 and 3: Q1). Q1 also has zero: where that may be better, the caller looks.
int32_t nearest_level(int32_t coefficient, int state);

struct TrellisResult {
  int last = -1;        // scan position of the last non-zero level, -1: empty block
  int final_state = 0;  // QState before position 0, for a caller that replaces its level
  int64_t cost = 0;     // distortion / lambda + rate, 2^-8 bit; tu_y_coded_flag included
};

class Trellis {
 public:
  Trellis(int log2_width, int log2_height, const TrellisOptions& options);
  ~Trellis();
  Trellis(Trellis&&) noexcept;
  Trellis& operator=(Trellis&&) noexcept;

  // Takes the prices from the models as they stand.
  void set_rates(const ContextSet& contexts);

  // `coefficients`: in scan order, count <= scan_order().count of them (those behind are zero),
  // each within +-2^30. `levels`: TransCoeffLevel in scan order, coefficients.size() of them,
  // every one in [-32767, 32767].
  TrellisResult quantize(std::span<const int32_t> coefficients, std::span<int32_t> levels);

 private:
  struct Work;
  std::unique_ptr<Work> work_;
};

}  // namespace llmcodec::vvc
