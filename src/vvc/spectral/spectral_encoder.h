// SPDX-License-Identifier: BSD-3-Clause
// Spectral encoder: weights in, one ordinary VVC picture out whose transform coefficients are the weights
// (spectral_format.h has the layout). Strip by strip, so that a caller can correct the strips still to come.
//
//   LLMC_ASSIGN_OR_RETURN(SpectralEncoder encoder, SpectralEncoder::create(format, {}));
//   for (uint32_t strip = 0; strip < format.blocks_y; ++strip)
//     LLMC_RETURN_IF_ERROR(encoder.encode_strip(u, indices, &outliers));   // u in steps; indices: what
//     decoders get
//   LLMC_ASSIGN_OR_RETURN(std::vector<std::byte> stream, encoder.finish());
//
// Strips of several pictures at once are nearly twice as fast (write_32x32_lanes.h): encode_strips().
//
// How it works. Each block goes through the trellis on its own. Then it is reconstructed as every VVC decoder
// will, for two reasons. Block means wander, since a block is predicted from its neighbours' edges: when the
// prediction leaves mid-grey by more than kSteerThreshold, the coefficient at position 0 pulls it back. And a
// sample that leaves its range would be clipped, and foreign decoders could no longer find the coefficients:
// such a block loses its largest weights, which are reported as outliers for the caller to store exactly.
// Strips that are much louder or quieter than the format's QP expects get a QP of their own, which the stream
// tells foreign readers in a SEI message (strip_qp_message.h). (Nearly empty blocks are also checked for
// weights that sample rounding makes unreadable, see spectral_readback.h: outliers too.)
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

// A strip to be encoded: the arguments of encode_strip(), and its result.
struct StripEncoding {
  SpectralEncoder* encoder = nullptr;
  std::span<const float> coefficients = {};
  std::span<int32_t> indices = {};
  std::vector<uint32_t>* outliers = nullptr;
  Status status = Status::ok();
};

class SpectralEncoder {
 public:
  // InvalidArgument for a format out of range.
  static Result<SpectralEncoder> create(const SpectralFormat& format, const SpectralOptions& options);
  ~SpectralEncoder();
  SpectralEncoder(SpectralEncoder&&) noexcept;
  SpectralEncoder& operator=(SpectralEncoder&&) noexcept;

  // The next strip. `coefficients`: strip_coefficients() weights in units of the step, finite (else
  // InvalidArgument, with the position). `indices`: as many; the weight that a decoder sees is indices[i] *
  // step. `outliers` (may be null) gets the positions in this strip, appended in ascending order, of weights
  // that the picture cannot carry: the caller stores them itself, whatever their index.
  Status encode_strip(std::span<const float> coefficients, std::span<int32_t> indices,
                      std::vector<uint32_t>* outliers);
  // The next strip of each of several encoders, each as alone.
  static void encode_strips(std::span<StripEncoding> strips);

  uint32_t strips_done() const;
  // Bits of the stream up to now, for rate control.
  uint64_t bits_so_far() const;
  // The picture as decoders show it; rows of strips not yet coded are undefined. Valid until the encoder
  // dies.
  PlaneView reconstruction() const;

  // The Annex B stream. Precondition: all strips are coded (else InvalidArgument). Call once.
  Result<std::vector<std::byte>> finish();

 private:
  struct State;
  explicit SpectralEncoder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace llmcodec::vvc
