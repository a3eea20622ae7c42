// SPDX-License-Identifier: BSD-3-Clause
// Intra prediction of one luma block from the samples around it: planar, DC and the angular modes, with
// reference smoothing, position-dependent combination (PDPC), wide angles and multiple reference lines.
//
// Example (Plane& picture, const CuMap& cu_map, int picture_width, int bit_depth):
//
//   const NeighbourScope scope{.map = &cu_map, .slice = 1, .right_limit = picture_width};
//   ReferenceSamples refs;
//   refs.fetch(picture.view(), scope, {.x = 32, .y = 32, .log2_width = 5, .log2_height = 5}, bit_depth);
//   predict_intra(refs, kIntraDc, bit_depth, picture.view().block(32, 32, 32, 32));
//
// Modes: 0 planar, 1 DC, 2..66 angular (18 horizontal, 34 diagonal, 50 vertical).
#pragma once

#include <cstdint>

#include "llmcodec/plane.h"
#include "vvc/picture/partition.h"

namespace llmcodec::vvc {

inline constexpr int kIntraPlanar = 0;
inline constexpr int kIntraDc = 1;
inline constexpr int kIntraHorizontal = 18;
inline constexpr int kIntraDiagonal = 34;
inline constexpr int kIntraVertical = 50;
inline constexpr int kIntraModes = 67;

// A block to be predicted: a transform block, sides 4..64.
struct PredictionBlock {
  int x = 0, y = 0;  // luma samples
  int log2_width = 5, log2_height = 5;
  int ref_idx = 0;  // IntraLumaRefLineIdx: distance of the reference line, 0..2
};

// Which neighbours may be used.
struct NeighbourScope {
  const CuMap* map = nullptr;
  uint16_t slice = 1;  // as in CuInfo
  // Samples above from this x on are never used: the picture's width,
  // or with wavefronts the CTU's right edge.
  int right_limit = 0;
};

// The line of samples around a block, from the lowest left one up to the corner
// and on to the rightmost above.
class ReferenceSamples {
 public:
  // Reads the samples from the picture under reconstruction; missing ones are substituted.
  void fetch(PlaneView picture, const NeighbourScope& scope, const PredictionBlock& block, int bit_depth);
  // H.266 8.4.5.2.10: 1-2-1 smoothing in place; the two ends stay.
  void smooth();

  const PredictionBlock& block() const { return block_; }
  // i = 0: the corner; i = 1..: rightwards above the block and downwards left of it, at distance ref_idx + 1.
  int above(int i) const { return line_[corner_ + i]; }
  int left(int i) const { return line_[corner_ - i]; }

 private:
  static constexpr int kMaxSide = 64, kMaxRefIdx = 2;
  // How many samples are there, counted from the corner.
  struct Known {
    int left, above;
    bool corner;
  };
  Known find_known(const NeighbourScope& scope) const;
  void copy_known(PlaneView picture, const Known& known);
  void substitute_missing(const Known& known);
  // The sample left of the block's first row (the next one down stands before it),
  // and the one above its first column.
  uint16_t* left_top() { return &line_[corner_ - block_.ref_idx - 1]; }
  uint16_t* above_first() { return &line_[corner_ + block_.ref_idx + 1]; }

  PredictionBlock block_;
  int corner_ = 0;  // index of the corner sample: 2 * height + ref_idx
  int size_ = 0;
  uint16_t line_[4 * kMaxSide + 2 * kMaxRefIdx + 1];
};

// The prediction for `mode` into `out` (block height rows x block width cols).
// Smooths refs where the standard does. Precondition: planar only with ref_idx 0.
void predict_intra(ReferenceSamples& refs, int mode, int bit_depth, MutablePlaneView out);

// The six most probable modes, H.266 8.4.2, from the modes left (at the block's lower left corner) and above
// (at its upper right corner, same CTU); kIntraPlanar for a missing neighbour.
struct MostProbableModes {
  uint8_t mode[6];
};
MostProbableModes most_probable_modes(int left_mode, int above_mode);

}  // namespace llmcodec::vvc
