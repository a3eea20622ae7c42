// SPDX-License-Identifier: BSD-3-Clause
// Spectral decoder: an ordinary VVC picture in, the weights' indices out (spectral_format.h has the layout).
// It only parses: no prediction, no transform, no picture.
//
//   LLMC_ASSIGN_OR_RETURN(SpectralDecoder decoder, SpectralDecoder::open(stream, k));
//   const SpectralFormat& format = decoder.format();
//   std::vector<int32_t> strip(format.strip_coefficients());
//   for (uint32_t i = 0; i < format.blocks_y; ++i)
//     LLMC_RETURN_IF_ERROR(decoder.decode_strip(strip));      // weight = strip[...] * step
//   LLMC_RETURN_IF_ERROR(decoder.finish());
//
// Several pictures at once are up to five times as fast (read_32x32_lanes.h):
//
//   std::vector<SpectralPicture> pictures = {{.decoder = &a, .indices = room_a}, {&b, room_b}, ...};
//   SpectralDecoder::decode_pictures(pictures);                 // then look at each one's status
//
// The stream holds one picture of one slice, as SpectralEncoder writes it; it must outlive the decoder. Safe
// on any bytes. Failures: Corrupt (also: coefficients above K, an end in the wrong place), Unsupported (a
// stream of other block structure), InvalidArgument (K out of range, a span of the wrong size).
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
  SpectralDecoder* decoder = nullptr;  // no strip decoded yet
  std::span<int32_t> indices;          // blocks_y * strip_coefficients()
  Status status = Status::ok();        // result: what decode_strip() for all strips and finish() would say
};

class SpectralDecoder {
 public:
  // Reads the headers. `coefficients` is K: it is the one part of the format that the stream does not hold.
  static Result<SpectralDecoder> open(std::span<const std::byte> stream, uint32_t coefficients);
  ~SpectralDecoder();
  SpectralDecoder(SpectralDecoder&&) noexcept;
  SpectralDecoder& operator=(SpectralDecoder&&) noexcept;

  const SpectralFormat& format() const;
  // The next strip: format().strip_coefficients() indices, block after block, in [-32768, 32767].
  Status decode_strip(std::span<int32_t> indices);
  // After the last strip: checks that the slice ends there.
  Status finish();

  // Each as alone; one that fails does not disturb the others.
  static void decode_pictures(std::span<SpectralPicture> pictures);

 private:
  struct State;
  explicit SpectralDecoder(std::unique_ptr<State> state);
  Status begin_picture(std::span<int32_t> indices);
  std::unique_ptr<State> state_;
};

}  // namespace llmcodec::vvc
