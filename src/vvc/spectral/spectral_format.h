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
#include "vvc/stream/header_syntax.h"

namespace llmcodec::vvc {

inline constexpr uint32_t kMaxSpectralBlocks = 512;  // a side: 16384 samples
inline constexpr uint32_t kMaxSpectralCoefficients = 1023;

struct SpectralFormat {
  uint32_t blocks_x = 0, blocks_y = 0;  // 1..kMaxSpectralBlocks
  uint32_t coefficients = 0;            // K, 1..kMaxSpectralCoefficients
  int bit_depth = 10;                   // 8 or 10
  // Slice QP, which sets how many samples a level is worth (Du = 2^((qp + 12 - 9) / 6) at 10 bits: 8.98 at
  // 16) and nothing else. Large keeps indices readable from the picture, small keeps the picture away from
  // its limits; 16 suits any rate up to 4.5 bits, spectral_qp_for_rate() is better below. Strips much louder
  // or quieter than the rate promises get a QP of their own (cu_qp_delta), see spectral_strip_qp().
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

// m, outputs per block, for a matrix of `outputs` outputs at `bits` per weight: near the best m, but such
// that whole blocks hold the outputs with little padding. 1..31; outputs > 0.
uint32_t spectral_outputs_for_rate(double bits, uint64_t outputs);

// The QP at 10 bits that keeps the pixel deviation of Gaussian weights at `bits` per weight at 30 to 50
// samples: far from clipping (10 deviations), and busy enough that sparse blocks too are read back exactly.
int spectral_qp_for_rate(double bits);

// The QP of a strip whose weights have this RMS, in steps: format.qp while that leaves the samples a
// deviation of kQuietStrip..kLoudStrip, else the nearest in steps of 3 that does. Louder strips would clip,
// quieter ones could not be read back from the picture.
int spectral_strip_qp(const SpectralFormat& format, double rms);

}  // namespace llmcodec::vvc
