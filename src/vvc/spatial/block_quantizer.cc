// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spatial/block_quantizer.h"

#include <algorithm>
#include <cstdlib>

namespace llmcodec::vvc {

namespace {

// The level at position 0, whose coefficient is the block's mean: zero below one step.
int32_t mean_level(int32_t coefficient, int state) {
  constexpr int kOne = 1 << kCoefficientFraction;
  return state >= 2 && std::abs(coefficient) < kOne ? 0 : nearest_level(coefficient, state);
}

}  // namespace

BlockQuantizer::BlockQuantizer(PlaneView source, MutablePlaneView picture, const Options& options)
    : source_(source), picture_(picture), options_(options), coefficients_of_(options.bit_depth) {}

Trellis& BlockQuantizer::trellis(int log2_width, int log2_height) {
  std::optional<Trellis>& trellis = trellises_[log2_width - 2][log2_height - 2];
  if (!trellis) trellis.emplace(log2_width, log2_height, TrellisOptions{.lambda = options_.lambda});
  return *trellis;
}

MutablePlaneView BlockQuantizer::predict(const PredictionBlock& block, const NeighbourScope& scope) {
  ReferenceSamples references;
  references.fetch(picture_, scope, block, options_.bit_depth);
  const MutablePlaneView predicted =
      picture_.block(static_cast<size_t>(block.y), static_cast<size_t>(block.x),
                     size_t{1} << block.log2_height, size_t{1} << block.log2_width);
  predict_intra(references, kIntraDc, options_.bit_depth, predicted);
  return predicted;
}

void BlockQuantizer::quantize(const PredictionBlock& b, const NeighbourScope& scope,
                              const ContextSet& contexts) {
  const PlaneView predicted = predict(b, scope);
  coefficients_.resize(predicted.size());
  levels_.resize(coefficients_.size());
  coefficients_of_.transform(
      source_.block(static_cast<size_t>(b.y), static_cast<size_t>(b.x), predicted.rows, predicted.cols),
      predicted, coefficients_.data());
  Trellis& search = trellis(b.log2_width, b.log2_height);
  search.set_rates(contexts);
  last_ = search.quantize(coefficients_, levels_).last;
}

void BlockQuantizer::adapt(const PredictionBlock& b, const NeighbourScope& scope, const FoundLevels& found) {
  predict(b, scope);
  const int width = 1 << b.log2_width, height = 1 << b.log2_height;
  const auto x = static_cast<size_t>(b.x), y = static_cast<size_t>(b.y);
  int64_t sum = -int64_t{picture_.at(y, x)} * width * height;
  for (int row = 0; row < height; ++row) {
    const uint16_t* source = &source_.at(y + static_cast<size_t>(row), x);
    int row_sum = 0;
    for (int column = 0; column < width; ++column) row_sum += source[column];
    sum += row_sum;
  }
  levels_.assign(found.levels.begin(), found.levels.end());
  levels_[0] = mean_level(coefficients_of_.mean_coefficient(sum, b.log2_width, b.log2_height),
                          found.last > 0 ? found.final_state : 0);
  last_ = found.last > 0 ? found.last : levels_[0] != 0 ? 0 : -1;
}

}  // namespace llmcodec::vvc
