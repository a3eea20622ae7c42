// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/block_quantizer.h"

#include <cmath>

#include "vvc/residual_syntax.h"
#include "vvc/scaling.h"
#include "vvc/transform.h"

namespace llmcodec::vvc {
namespace {

// Union step in samples (orthonormal domain), without a power function. It depends on the shape: the
// standard's scale factors make up for an odd power of two in the size to within 0.8 % only.
double union_step(int qp, int bit_depth, int log2_width, int log2_height) {
  const Scaler scaler(qp + 6 * (bit_depth - 8), bit_depth, log2_width, log2_height);
  int32_t probe = 1024;
  while (probe > 1 && scaler(probe) == 32767) probe /= 2;
  // A coefficient is the orthonormal one times 2^(15 - bit_depth - log2_sum / 2).
  const int log2_sum = log2_width + log2_height;
  const double step =
      static_cast<double>(scaler(probe)) / probe * std::ldexp(1.0, log2_sum / 2 + bit_depth - 15);
  return log2_sum % 2 == 0 ? step : step * 1.4142135623730951;
}

}  // namespace

BlockQuantizer::BlockQuantizer(PlaneView source, MutablePlaneView picture, const Options& options)
    : source_(source), picture_(picture), options_(options) {}

void BlockQuantizer::set_qp(int qp) {
  if (qp == qp_) return;
  qp_ = qp;
  for (int w = 2; w <= 5; ++w)
    for (int h = 2; h <= 5; ++h)
      to_steps_[w - 2][h - 2] =
          static_cast<float>((1 << kCoefficientFraction) / union_step(qp, options_.bit_depth, w, h));
}

Trellis& BlockQuantizer::trellis(int log2_width, int log2_height) {
  std::optional<Trellis>& trellis = trellises_[log2_width - 2][log2_height - 2];
  if (!trellis) trellis.emplace(log2_width, log2_height, TrellisOptions{.lambda = options_.lambda});
  return *trellis;
}

// Source minus prediction, as coefficients in scan order and 2^-8 steps.
void BlockQuantizer::transform_residual(const PredictionBlock& b) {
  const int width = 1 << b.log2_width, height = 1 << b.log2_height;
  for (int y = 0; y < height; ++y) {
    const uint16_t* source = &source_.at(static_cast<size_t>(b.y + y), static_cast<size_t>(b.x));
    const uint16_t* prediction = &picture_.at(static_cast<size_t>(b.y + y), static_cast<size_t>(b.x));
    for (int x = 0; x < width; ++x)
      residual_[width * y + x] = static_cast<int16_t>(source[x] - prediction[x]);
  }
  forward_dct(residual_, b.log2_width, b.log2_height, transformed_);
  const ScanOrder& scan = scan_order(b.log2_width, b.log2_height);
  coefficients_.resize(static_cast<size_t>(scan.count));
  const float to_steps = to_steps_[b.log2_width - 2][b.log2_height - 2];
  for (int n = 0; n < scan.count; ++n)
    coefficients_[static_cast<size_t>(n)] =
        static_cast<int32_t>(std::lrintf(transformed_[scan[n].raster] * to_steps));
}

TrellisResult BlockQuantizer::quantize(const PredictionBlock& block, const NeighbourScope& scope,
                                       const ContextSet& contexts) {
  ReferenceSamples references;
  references.fetch(picture_, scope, block, options_.bit_depth);
  predict_intra(references, kIntraDc, options_.bit_depth,
                picture_.block(static_cast<size_t>(block.y), static_cast<size_t>(block.x),
                               size_t{1} << block.log2_height, size_t{1} << block.log2_width));
  transform_residual(block);
  levels_.resize(coefficients_.size());
  Trellis& search = trellis(block.log2_width, block.log2_height);
  search.set_rates(contexts);
  return search.quantize(coefficients_, levels_);
}

}  // namespace llmcodec::vvc
