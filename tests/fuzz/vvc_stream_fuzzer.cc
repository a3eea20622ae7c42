// SPDX-License-Identifier: BSD-3-Clause
// Whole byte streams through both decoders. The last byte chooses options; the rest is the stream.
// Seeds: corpus/vvc_stream_fuzzer, made by vvc_fuzz_seeds.
#include <cstdint>
#include <span>
#include <vector>

#include "vvc/spatial/stream_decoder.h"
#include "vvc/spectral/spectral_decoder.h"

using namespace llmcodec;

namespace {

void decode_spectral(std::span<const std::byte> stream, uint32_t coefficients) {
  auto decoder = vvc::SpectralDecoder::open(stream, coefficients);
  if (!decoder.is_ok()) return;
  const uint64_t count = decoder->format().strip_coefficients() * decoder->format().blocks_y;
  if (count > 1u << 22) return;  // larger pictures only take longer
  std::vector<int32_t> indices(count);
  vvc::SpectralPicture picture{.decoder = &*decoder, .indices = indices};
  vvc::SpectralDecoder::decode_pictures({&picture, 1});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  // A copy of exactly this size, so that the sanitizer sees the first byte read past it.
  const std::vector<uint8_t> copy(data, data + size - 1);
  const auto stream = std::as_bytes(std::span(copy));
  const uint8_t choice = data[size - 1];
  vvc::DecodeOptions options;
  options.limits = {.max_picture_samples = 1u << 18, .max_pictures = 8};
  options.check_hash = (choice & 1) != 0;
  (void)vvc::decode_each(stream, options, [](const vvc::DecodedPicture&) { return Status::ok(); }).is_ok();
  if ((choice & 2) != 0) decode_spectral(stream, 1 + 4u * choice);
  return 0;
}
