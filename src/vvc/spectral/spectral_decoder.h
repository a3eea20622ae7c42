// SPDX-License-Identifier: BSD-3-Clause
// Spectral decoder: an ordinary VVC picture in, the weights' indices out (spectral_format.h has the layout).
// It only parses: no prediction, no transform, no picture.
//
// Example (std::span<const std::byte> stream, uint32_t k):
//
//   LLMC_ASSIGN_OR_RETURN(SpectralDecoder decoder, SpectralDecoder::open(stream, k));
//   const SpectralFormat& format = decoder.format();
//   std::vector<int32_t> indices(format.blocks_y * format.strip_coefficients());
//   SpectralPicture picture{.decoder = &decoder, .indices = indices};
//   SpectralDecoder::decode_pictures({&picture, 1});
//   LLMC_RETURN_IF_ERROR(std::move(picture.status));           // weight = indices[i] * step
//
// The stream holds one picture of one slice, as SpectralEncoder writes it; it must outlive the decoder.
// Safe on any bytes. Failures: Corrupt (also: coefficients above K, an end in the wrong place), Unsupported
// (a stream of other block structure), InvalidArgument (K out of range, a span of the wrong size).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "llmcodec/status.h"
#include "vvc/spectral/spectral_format.h"

namespace llmcodec::vvc {

class SpectralDecoder;

// A whole picture to be decoded.
struct SpectralPicture {
  SpectralDecoder* decoder = nullptr;  // which has decoded nothing yet
  std::span<int32_t> indices;    // blocks_y * strip_coefficients() of them, strip after strip, 16 bits each
  Status status = Status::ok();  // result
};

class SpectralDecoder {
 public:
  // Reads the headers. `coefficients` is K: it is the one part of the format that the stream does not hold.
  static Result<SpectralDecoder> open(std::span<const std::byte> stream, uint32_t coefficients);
  ~SpectralDecoder();
  SpectralDecoder(SpectralDecoder&&) noexcept;
  SpectralDecoder& operator=(SpectralDecoder&&) noexcept;

  const SpectralFormat& format() const;
  // Several pictures at once are up to five times as fast (read_32x32_lanes.h).
  // Each ends as it would alone; one that fails does not disturb the others.
  static void decode_pictures(std::span<SpectralPicture> pictures);

 private:
  struct State;
  explicit SpectralDecoder(std::unique_ptr<State> state);
  Status begin_picture(std::span<int32_t> indices);
  std::unique_ptr<State> state_;
};

}  // namespace llmcodec::vvc
