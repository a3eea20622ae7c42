// SPDX-License-Identifier: BSD-3-Clause
// From source samples to levels: prediction, residual, forward transform and trellis of one luma block.
//
//   BlockQuantizer quantizer(source.view(), picture.view(), {.bit_depth = 10, .lambda = 0.45});
//   quantizer.set_qp(30);
//   TrellisResult result = quantizer.quantize({.x = 0, .y = 0}, scope, encoder.contexts());
//   quantizer.levels()[0..result.last]                 // in scan order
//
// Views source and picture, which must outlive it. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "llmcodec/plane.h"
#include "vvc/contexts.h"
#include "vvc/intra_pred.h"
#include "vvc/trellis.h"

namespace llmcodec::vvc {

// Luma samples by which a coding unit predicts. Noise is best predicted by nothing: DC from the second line
// away (multi-reference-line DC) shifts one coefficient; plain DC, all that a CTU's first row may use, also
// pastes decoded noise into the block's first rows and columns.
constexpr int noise_reference_line(int y, int ctu_size) {
  return y % ctu_size == 0 ? 0 : 1;
}

class BlockQuantizer {
 public:
  struct Options {
    int bit_depth = 10;
    double lambda = 0.45;  // see TrellisOptions
  };
  // `source` and `picture` have the coded size.
  BlockQuantizer(PlaneView source, MutablePlaneView picture, const Options& options);

  void set_qp(int qp);
  int qp() const { return qp_; }

  // Writes the DC prediction of the block (sides 4 to 32) into the picture, and finds its levels. Prices are
  // taken from `contexts`.
  TrellisResult quantize(const PredictionBlock& block, const NeighbourScope& scope,
                         const ContextSet& contexts);
  // Of the last quantize(): one for every coefficient, in scan order. Valid until the next.
  std::span<const int32_t> levels() const { return levels_; }

 private:
  void transform_residual(const PredictionBlock& block);
  Trellis& trellis(int log2_width, int log2_height);

  static constexpr int kMaxSamples = 32 * 32;
  PlaneView source_;
  MutablePlaneView picture_;
  Options options_;
  int qp_ = INT32_MIN;
  float to_steps_[4][4];  // by shape, as below
  alignas(32) int16_t residual_[kMaxSamples];
  alignas(32) float transformed_[kMaxSamples];
  std::vector<int32_t> coefficients_, levels_;
  std::optional<Trellis> trellises_[4][4];  // by log2 of width and height, less 2; made when first needed
};

}  // namespace llmcodec::vvc
