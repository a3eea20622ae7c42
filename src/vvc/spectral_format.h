// SPDX-License-Identifier: BSD-3-Clause
// The spectral layout's picture: weights are quantised transform coefficients of an ordinary VVC picture.
//
// A picture of blocks_x * 32 by blocks_y * 32 samples, CTU 32, one 32x32 transform block each, every block
// predicted by DC. Weight k = 0..K-1 of a block is the coefficient at scan position k + 1 (scan_order(5, 5));
// position 0 carries no weight (the encoder steers the block's mean with it) and positions above K are zero.
// A strip is one row of blocks; arrays of a strip hold block after block, K values each. A weight is worth
// index * step, index = TransCoeffLevel: dependent quantisation makes the indices of quantiser Q0 even and
// those of Q1 odd or zero, both on one grid, whose step is the union step Du of the picture.
#pragma once

#include <cstdint>

#include "llmcodec/status.h"
#include "vvc/header_syntax.h"

namespace llmcodec::vvc {

inline constexpr uint32_t kMaxSpectralBlocks = 512;  // a side: 16384 samples
inline constexpr uint32_t kMaxSpectralCoefficients = 1023;

struct SpectralFormat {
  uint32_t blocks_x = 0, blocks_y = 0;  // 1..kMaxSpectralBlocks
  uint32_t coefficients = 0;            // K, 1..kMaxSpectralCoefficients
  int bit_depth = 10;                   // 8 or 10
  // Slice QP. At 16 and 10 bits Du is 8.98 samples: rounding to samples then moves a coefficient by 0.15
  // steps at most, so that any decoder's picture gives the indices back exactly. Smaller is less robust,
  // larger clips sooner.
  int qp = 16;

  uint32_t width() const { return 32 * blocks_x; }
  uint32_t height() const { return 32 * blocks_y; }
  uint64_t strip_coefficients() const { return uint64_t{blocks_x} * coefficients; }
};

// InvalidArgument naming the first field out of range.
Status check(const SpectralFormat& format);

// The parameter sets of such a stream.
Sps spectral_sps(const SpectralFormat& format);
Pps spectral_pps(const SpectralFormat& format);

// K = 32 m that gives the least gap for Gaussian weights at `bits` per weight, by measurement
// (docs/decisions/010-spectral-layout.md): as many as VVC's budget of context bins serves. At most 992.
uint32_t spectral_coefficients_for_rate(double bits);

}  // namespace llmcodec::vvc
