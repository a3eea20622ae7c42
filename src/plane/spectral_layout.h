// SPDX-License-Identifier: BSD-3-Clause
// Spectral layout: weights are transform coefficients. A block holds 32 inputs x m outputs (1 <= m <= 31) at
// scan positions 1..K, K = 32 m, of one 32x32 transform block; position 0 carries no weight. Arrangement
// inside a block, normative (input-major: the weights of one input, which share a column scale, are
// neighbours in the scan):
//   scan position = 1 + i * m + o      i = 0..31 input inside the strip, o = 0..m-1 output inside the group
// Example, m = 2: positions 1, 2, 3, 4, 5 hold (i, o) = (0, 0), (0, 1), (1, 0), (1, 1), (2, 0).
// The coefficient is the weight times kSpectralSigns[position - 1]: inputs whose weights all have one sign
// would add up to samples that leave the picture's range. Signs cost a bit each whatever they are. A strip is
// one row of blocks: 32 inputs of all output groups of the picture; block bx holds the picture's outputs
// bx * m + o. Outside the matrix coefficients are 0, which readers ignore. Picture number = input cut *
// row_cuts + output cut. Column order as in the spatial layout.
//
// Coefficients of a picture: strip after strip, block after block, K values each:
//   data[(strip * blocks_x + block) * K + position - 1]
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>

#include "llmcodec/matrix_view.h"
#include "llmcodec/status.h"
#include "plane/spatial_layout.h"

namespace llmcodec {

inline constexpr uint32_t kStripInputs = 32;
inline constexpr uint32_t kMaxOutputsPerBlock = 31;
inline constexpr uint32_t kMaxSpectralWeights = kStripInputs * kMaxOutputsPerBlock;
inline constexpr uint32_t kMaxPictureBlocks = 512;  // per side: 16384 samples

// 1 or -1, normative: -1 where s(k) = 1, a maximum length sequence: s(k) = s(k - 3) xor s(k - 10), from
// s(0..9) = 1, 0, 1, 1, 0, 1, 0, 0, 1, 1.
extern const std::array<int8_t, kMaxSpectralWeights> kSpectralSigns;

struct SpectralLayout {
  uint64_t rows = 0, cols = 0;        // of the matrix
  uint32_t outputs_per_block = 0;     // m
  uint32_t blocks_x = 0, strips = 0;  // of every picture; stored in the archive
  uint64_t row_cuts = 0, col_cuts = 0;

  // Chooses equal pictures of about `target` weights: all strips in one picture up to 512, else the fewest
  // equal cuts; then output groups spread over round(weights / target) pictures, at least one, at most 512
  // blocks wide. InvalidArgument for an empty matrix, a zero target, or m outside 1..31.
  static Result<SpectralLayout> make(uint64_t rows, uint64_t cols, uint32_t outputs_per_block,
                                     uint64_t target = kDefaultPictureWeights);

  uint64_t pictures() const { return row_cuts * col_cuts; }
  uint32_t block_coefficients() const { return kStripInputs * outputs_per_block; }  // K
  uint64_t strip_coefficients() const { return uint64_t{blocks_x} * block_coefficients(); }
  uint64_t picture_coefficients() const { return strips * strip_coefficients(); }
  uint32_t width() const { return 32 * blocks_x; }
  uint32_t height() const { return 32 * strips; }
  PictureRect picture(uint64_t index) const;
};

// Output group g of a picture: its rows [g * m, g * m + m), or what is left of them, which are block g of
// every strip. `rows`: these rows of the matrix, the picture's columns only, in coded order (rect.cols of
// them). `coefficients`: picture_coefficients() values; what lies outside the matrix is left as it is.
void gather_group(const SpectralLayout& layout, uint32_t group, MatrixView<const float> rows,
                  std::span<float> coefficients);
// The inverse: rows = value * step, where values are indices, or coefficients in units of the step.
void scatter_group(const SpectralLayout& layout, uint32_t group, std::span<const int32_t> indices, float step,
                   MatrixView<float> rows);
void scatter_group(const SpectralLayout& layout, uint32_t group, std::span<const float> coefficients,
                   float step, MatrixView<float> rows);

// All output groups of a picture. `rows`: rect.rows x rect.cols, columns in coded order.
void gather_picture(const SpectralLayout& layout, MatrixView<const float> rows,
                    std::span<float> coefficients);
template <class T>
void scatter_picture(const SpectralLayout& layout, std::span<const T> values, float step,
                     MatrixView<float> rows) {
  const uint64_t m = layout.outputs_per_block;
  for (uint64_t first = 0; first < rows.rows; first += m)
    scatter_group(layout, static_cast<uint32_t>(first / m), values, step,
                  rows.block(first, 0, std::min(m, rows.rows - first), rows.cols));
}

}  // namespace llmcodec
