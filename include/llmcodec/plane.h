// SPDX-License-Identifier: BSD-3-Clause
// A plane: integer samples of one component, 8 to 16 bits in uint16_t, owned or viewed.
// Plane x = matrix row (output), plane y = matrix column (input): codecs run top to bottom, so inputs are
// coded in order and a closed loop can correct those still to come.
#pragma once

#include <cstdint>
#include <vector>

#include "llmcodec/matrix_view.h"

namespace llmcodec {

struct PictureFormat {
  uint32_t width = 0;
  uint32_t height = 0;
  uint32_t bit_depth = 8;  // samples are in [0, 2^bit_depth - 1]
  uint64_t samples() const { return uint64_t{width} * height; }
};

using PlaneView = MatrixView<const uint16_t>;  // rows = height, cols = width
using MutablePlaneView = MatrixView<uint16_t>;

// One picture that owns its samples.
class Plane {
 public:
  Plane() = default;
  Plane(uint32_t width, uint32_t height) : width_(width), height_(height), samples_(size_t{width} * height) {}
  MutablePlaneView view() { return {samples_.data(), height_, width_}; }
  PlaneView view() const { return {samples_.data(), height_, width_}; }

 private:
  uint32_t width_ = 0;
  uint32_t height_ = 0;
  std::vector<uint16_t> samples_;
};

}  // namespace llmcodec
