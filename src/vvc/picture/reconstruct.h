// SPDX-License-Identifier: BSD-3-Clause
// Reconstruction of one block of a picture: prediction, scaling, inverse transform, sum, clip. Encoder and
// decoder share it, so that they cannot drift apart.
//
// Example (Plane& picture, const NeighbourScope& scope, const int32_t* levels, int last):
//
//   BlockReconstructor reconstructor(picture.view(), 10);
//   reconstructor.predict({.x = 32, .y = 0}, kIntraDc, scope);
//   reconstructor.add_residual({.x = 32, .y = 0, .levels = levels, .last = last, .qp = 30});
//
// Views the picture, which must outlive it.
#pragma once

#include <cstdint>

#include "llmcodec/plane.h"
#include "vvc/picture/intra_pred.h"

namespace llmcodec::vvc {

struct ResidualBlock {
  int x = 0, y = 0;  // luma samples
  int log2_width = 5, log2_height = 5;
  const int32_t* levels = nullptr;  // TransCoeffLevel, raster, stride = width
  int last = 0;                     // scan position of the last non-zero level
  int qp = 0;                       // QpY
};

class BlockReconstructor {
 public:
  // `picture`: whole coded size. bit_depth 8..10.
  BlockReconstructor(MutablePlaneView picture, int bit_depth) : picture_(picture), bit_depth_(bit_depth) {}

  // Writes the prediction into the picture.
  void predict(const PredictionBlock& block, int mode, const NeighbourScope& scope);
  // Adds the residual to what stands in the picture.
  void add_residual(const ResidualBlock& block);

 private:
  MutablePlaneView picture_;
  int bit_depth_;
};

}  // namespace llmcodec::vvc
