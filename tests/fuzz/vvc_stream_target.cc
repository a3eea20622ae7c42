// SPDX-License-Identifier: BSD-3-Clause
// Whole byte streams through both decoders. The last byte chooses options; the rest is the stream.
// Seeds: corpus/vvc_stream, made by vvc_fuzz_seeds.
#include <cstdint>
#include <span>
#include <vector>

#include "fuzz_target.h"
#include "vvc/spatial/stream_decoder.h"
#include "vvc/spectral/spectral_decoder.h"

namespace llmcodec {
namespace {

constexpr uint64_t kMostSamples = 1u << 18;

// Bytes of its indices.
uint64_t decode_spectral(std::span<const std::byte> stream, uint32_t coefficients) {
  auto decoder = vvc::SpectralDecoder::open(stream, coefficients);
  if (!fuzz_accepts(decoder)) return 0;
  const uint64_t count = decoder->format().strip_coefficients() * decoder->format().blocks_y;
  if (count > 1u << 22) return 0;  // larger pictures only take longer
  std::vector<int32_t> indices(count);
  vvc::SpectralPicture picture{.decoder = &*decoder, .indices = indices};
  vvc::SpectralDecoder::decode_pictures({&picture, 1});
  return count * sizeof(int32_t);
}

uint64_t run(std::string_view input) {
  if (input.empty()) return 0;
  const uint8_t choice = static_cast<uint8_t>(input.back());
  const std::vector<std::byte> stream = exact_copy(input.substr(0, input.size() - 1));
  vvc::DecodeOptions options;
  options.limits = {.max_picture_samples = kMostSamples, .max_pictures = 8};
  options.check_hash = (choice & 1) != 0;
  fuzz_accepts(vvc::decode_each(stream, options, [](const vvc::DecodedPicture&) { return Status::ok(); }));
  return (choice & 2) != 0 ? decode_spectral(stream, 1 + 4u * choice) : 0;
}

}  // namespace

const FuzzTarget kVvcStreamTarget = {"vvc_stream", run, nullptr, nullptr};

}  // namespace llmcodec
