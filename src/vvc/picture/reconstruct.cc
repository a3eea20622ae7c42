// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/picture/reconstruct.h"

#include <algorithm>

#include "vvc/picture/add_residual.h"
#include "vvc/picture/scaling.h"
#include "vvc/picture/transform.h"
#include "vvc/residual/scan.h"

namespace llmcodec::vvc {
namespace {

// The columns and rows that the sub-blocks up to the last coefficient can reach.
TransformSize coded_extent(const ResidualBlock& block) {
  const ScanOrder& scan = scan_order(block.log2_width, block.log2_height);
  int right = 0, bottom = 0;
  for (int i = 0; i <= block.last >> 4; ++i) {
    right = std::max<int>(right, scan.subblock_x[i]);
    bottom = std::max<int>(bottom, scan.subblock_y[i]);
  }
  return {block.log2_width, block.log2_height, 4 * (right + 1), 4 * (bottom + 1)};
}

}  // namespace

void BlockReconstructor::predict(const PredictionBlock& block, int mode, const NeighbourScope& scope) {
  ReferenceSamples refs;
  refs.fetch(picture_, scope, block, bit_depth_);
  predict_intra(refs, mode, bit_depth_,
                picture_.block(static_cast<size_t>(block.y), static_cast<size_t>(block.x),
                               size_t{1} << block.log2_height, size_t{1} << block.log2_width));
}

// H.266 (V3, 09/2023) 8.7.2 Scaling and transformation process and 8.7.5 Picture reconstruction process
void BlockReconstructor::add_residual(const ResidualBlock& block) {
  const int width = 1 << block.log2_width, height = 1 << block.log2_height;
  const TransformSize size = coded_extent(block);
  const Scaler scaler(block.qp + 6 * (bit_depth_ - 8), bit_depth_, block.log2_width, block.log2_height);
  const MutablePlaneView target = picture_.block(static_cast<size_t>(block.y), static_cast<size_t>(block.x),
                                                 static_cast<size_t>(height), static_cast<size_t>(width));
  if (add_block_residual(scaler, {size, bit_depth_, block.levels}, target)) return;
  int32_t coefficients[64 * 32];
  for (int y = 0; y < size.rows; ++y) {
    for (int x = 0; x < size.columns; ++x) {
      const int32_t level = block.levels[y * width + x];
      coefficients[y * width + x] = level == 0 ? 0 : scaler(level);
    }
  }
  int16_t residual[64 * 64];
  inverse_dct(coefficients, size, bit_depth_, residual);
  const int max_value = (1 << bit_depth_) - 1;
  for (int y = 0; y < height; ++y) {
    uint16_t* samples = target.row(static_cast<size_t>(y)).data();
    for (int x = 0; x < width; ++x)
      samples[x] = static_cast<uint16_t>(std::clamp(samples[x] + residual[y * width + x], 0, max_value));
  }
}

}  // namespace llmcodec::vvc
