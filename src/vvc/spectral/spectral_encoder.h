// SPDX-License-Identifier: BSD-3-Clause
// Spectral encoder: weights in, one ordinary VVC picture out whose transform coefficients are the weights
// (spectral_format.h has the layout). Strip by strip, so that a caller can correct the strips still to come.
//
// Example (const SpectralFormat& format, MatrixView<const float> u):
//
//   LLMC_ASSIGN_OR_RETURN(SpectralEncoder encoder, SpectralEncoder::create(format, {}));
//   std::vector<int32_t> indices(format.strip_coefficients());
//   for (uint32_t i = 0; i < format.blocks_y; ++i) {
//     std::vector<uint32_t> outliers;
//     StripEncoding strip{&encoder, u.row(i), indices, &outliers};
//     SpectralEncoder::encode_strips({&strip, 1});
//     LLMC_RETURN_IF_ERROR(std::move(strip.status));
//   }
//   LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> stream, encoder.finish());
//
// How it works. Each block goes through the trellis on its own. Then it is reconstructed as every VVC decoder
// will, for two reasons. First, block means wander, since a block is predicted from its neighbours' edges:
// when the prediction leaves mid-grey by more than kSteerThreshold,
// the coefficient at position 0 pulls it back. Second, a sample that leaves its range would be clipped,
// and foreign decoders could no longer find the coefficients: such a block loses its largest weights,
// which are reported as outliers for the caller to store exactly. Nearly empty blocks are also checked
// for weights that the rounding of samples makes unreadable (spectral_readback.h): those are outliers too.
//
// Strips that are much louder or quieter than the format's QP expects get a QP of their own,
// which the stream tells foreign readers in an SEI message (strip_qp_message.h).
//
// One encoder makes one picture. Not thread-safe; use one per thread. Deterministic: same input, same bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "llmcodec/plane.h"
#include "llmcodec/status.h"
#include "vvc/spectral/spectral_format.h"
#include "vvc/stream/trace.h"

namespace llmcodec::vvc {

struct SpectralOptions {
  double lambda = 0.45;        // see TrellisOptions
  TraceSink* trace = nullptr;  // every syntax element, as the decoder's trace has them
};

class SpectralEncoder;

// A strip to be encoded.
struct StripEncoding {
  SpectralEncoder* encoder = nullptr;
  std::span<const float> coefficients = {};  // strip_coefficients() weights in units of the step, finite
  std::span<int32_t> indices = {};           // as many; a decoder sees the weight indices[i] * step
  // May be null. Positions in this strip of weights that the picture cannot carry are appended in ascending
  // order: the caller stores those weights itself, whatever their index.
  std::vector<uint32_t>* outliers = nullptr;
  // Result. InvalidArgument for spans of another size, for a strip too many and for a weight that is not
  // finite, which the message names.
  Status status = Status::ok();
};

class SpectralEncoder {
 public:
  // InvalidArgument for a format out of range.
  static Result<SpectralEncoder> create(const SpectralFormat& format, const SpectralOptions& options);
  ~SpectralEncoder();
  SpectralEncoder(SpectralEncoder&&) noexcept;
  SpectralEncoder& operator=(SpectralEncoder&&) noexcept;

  // The next strip of each of several encoders. Each gets the bytes that it would get alone,
  // but together they are nearly twice as fast (write_32x32_lanes.h).
  static void encode_strips(std::span<StripEncoding> strips);

  // The picture as decoders show it; rows of strips not yet coded are undefined.
  // Valid as long as the encoder.
  PlaneView reconstruction() const;

  // The Annex B stream. Precondition: all strips are coded (else InvalidArgument). Call once.
  Result<std::vector<std::byte>> finish();

 private:
  struct State;
  explicit SpectralEncoder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace llmcodec::vvc
