// SPDX-License-Identifier: BSD-3-Clause
// From source samples to levels: prediction, residual, forward transform and trellis of one luma block.
//
// Example (const Plane& source, Plane& picture, const NeighbourScope& scope, const ContextSet& contexts):
//
//   BlockQuantizer quantizer(source.view(), picture.view(), {.bit_depth = 10, .lambda = 0.45});
//   quantizer.set_qp(30);
//   quantizer.quantize({.x = 0, .y = 0}, scope, contexts);
//   const std::span<const int32_t> levels = quantizer.levels();      // in scan order
//
// Views source and picture, which must outlive it. Not thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "llmcodec/plane.h"
#include "vvc/cabac/contexts.h"
#include "vvc/picture/intra_pred.h"
#include "vvc/spatial/block_coefficients.h"
#include "vvc/trellis/trellis.h"

namespace llmcodec::vvc {

// Luma samples by which a coding unit predicts. Noise is best predicted by nothing: DC from the second line
// away (multi-reference-line DC) shifts one coefficient; plain DC, all that a CTU's first row may use, also
// pastes decoded noise into the block's first rows and columns.
constexpr int noise_reference_line(int y, int ctu_size) {
  return y % ctu_size == 0 ? 0 : 1;
}

// Levels that a search found for a block, with another mean of its prediction.
struct FoundLevels {
  std::span<const int32_t> levels;  // in scan order
  int last = -1;                    // of the last level that is not zero
  int final_state = 0;              // before position 0
};

class BlockQuantizer {
 public:
  struct Options {
    int bit_depth = 10;
    double lambda = 0.45;  // see TrellisOptions
  };
  // `source` and `picture` have the coded size.
  BlockQuantizer(PlaneView source, MutablePlaneView picture, const Options& options);

  void set_qp(int qp) { coefficients_of_.set_qp(qp); }
  int qp() const { return coefficients_of_.qp(); }

  // Writes the DC prediction of the block (sides 4 to 32) into the picture, and finds its levels. Prices are
  // taken from `contexts`.
  void quantize(const PredictionBlock& block, const NeighbourScope& scope, const ContextSet& contexts);
  // The same for a block with ref_idx 1 or 2, whose prediction is one number:
  // only the level at position 0 is new.
  void adapt(const PredictionBlock& block, const NeighbourScope& scope, const FoundLevels& found);

  // Of the last quantize() or adapt(): one for every coefficient, in scan order. Valid until the next.
  std::span<const int32_t> levels() const { return levels_; }
  // Scan position of the last level that is not zero; -1: none.
  int last() const { return last_; }

 private:
  // Where the block lies in the picture, with its prediction written there.
  MutablePlaneView predict(const PredictionBlock& block, const NeighbourScope& scope);
  Trellis& trellis(int log2_width, int log2_height);

  PlaneView source_;
  MutablePlaneView picture_;
  Options options_;
  BlockCoefficients coefficients_of_;
  std::vector<int32_t> coefficients_, levels_;
  int last_ = -1;
  std::optional<Trellis> trellises_[4][4];  // by log2 of width and height, less 2; made when first needed
};

}  // namespace llmcodec::vvc
