// SPDX-License-Identifier: BSD-3-Clause
// Writes the seed corpora of the fuzzers, from our own encoders and random streams:
//
//   vvc_fuzz_seeds tests/fuzz/corpus        (target vvc_fuzz_seeds; run it again when the formats change)
//
// Small streams only: a fuzzer is as fast as its inputs are short.
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "../conformance/encoded_stream.h"
#include "../conformance/random_stream.h"
#include "slice_choice.h"
#include "vvc/spectral/spectral_encoder.h"
#include "vvc/stream/header_syntax.h"
#include "vvc/stream/nal.h"

namespace {

using namespace llmcodec;
using namespace llmcodec::vvc;
using Bytes = std::vector<std::byte>;

constexpr uint8_t kCheckHash = 1, kSpectralToo = 2;  // of the last byte of a stream seed

void write(const std::filesystem::path& path, const Bytes& bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

Bytes with_choice(Bytes stream, uint8_t choice) {
  stream.push_back(static_cast<std::byte>(choice));
  return stream;
}

// The data of the first slice with the choice of its headers; empty when the fuzzer's headers cannot be so.
Bytes slice_seed(const Bytes& stream) {
  auto units = split_annexb(stream);
  if (!units.is_ok()) return {};
  ParameterSets sets;
  for (const NalUnit& unit : *units) {
    const Bytes rbsp = unescape(unit.payload);
    if (unit.type == NalType::kSps) sets.sps[0] = read_sps(rbsp).value();
    if (unit.type == NalType::kPps) sets.pps[0] = read_pps(rbsp).value();
    if (unit.type == NalType::kPictureHeader) return {};
    if (!is_slice(unit.type)) continue;
    BitReader bits(rbsp);
    auto header = read_slice_header(bits, {unit.type, &sets, nullptr});
    if (!header.is_ok()) return {};
    SliceJob job;
    job.parameters = slice_parameters(*sets.sps[0], *sets.pps[0], *header);
    job.bit_depth = sets.sps[0]->bit_depth();
    job.extent.wavefront = sets.sps[0]->sps_entropy_coding_sync_enabled_flag;
    const auto choice = choice_for(job);
    if (!choice) return {};
    Bytes seed;
    for (const uint8_t value : *choice) seed.push_back(static_cast<std::byte>(value));
    const auto data = bits.rest();
    seed.insert(seed.end(), data.begin(), data.end());
    return seed;
  }
  return {};
}

Bytes spectral_stream(uint8_t choice) {
  SpectralFormat format{.blocks_x = 2, .blocks_y = 2, .coefficients = 1 + 4u * choice};
  SpectralEncoder encoder = SpectralEncoder::create(format, {}).value();
  std::vector<float> u(format.strip_coefficients());
  std::vector<int32_t> indices(u.size());
  for (uint32_t strip = 0; strip < format.blocks_y; ++strip) {
    for (size_t i = 0; i < u.size(); ++i) u[i] = static_cast<float>((i * 37 + strip * 11) % 19) / 6.0f - 1.5f;
    StripEncoding work{.encoder = &encoder, .coefficients = u, .indices = indices};
    SpectralEncoder::encode_strips({&work, 1});
    if (!work.status.is_ok()) std::abort();
  }
  return encoder.finish().value();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: vvc_fuzz_seeds FOLDER\n", stderr);
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  constexpr size_t kLargest = 1200;
  int streams = 0, slices = 0;
  for (uint32_t seed = 0; seed < 400 && (streams < 40 || slices < 40); ++seed) {
    for (const bool encoded : {false, true}) {
      const Bytes stream = (encoded ? encoded_stream(seed) : random_stream(seed)).bytes;
      const std::string name = (encoded ? "encoded_" : "syntax_") + std::to_string(seed);
      if (stream.size() <= kLargest && streams < 40) {
        write(folder / "vvc_stream" / name, with_choice(stream, kCheckHash));
        ++streams;
      }
      const Bytes slice = slice_seed(stream);
      if (!slice.empty() && slice.size() <= kLargest && slices < 40) {
        write(folder / "vvc_slice" / name, slice);
        ++slices;
      }
    }
  }
  for (const uint8_t choice : {3, 22, 42}) {
    const uint8_t flagged = choice | kSpectralToo;
    write(folder / "vvc_stream" / ("spectral_" + std::to_string(choice)),
          with_choice(spectral_stream(flagged), flagged));
  }
  std::printf("%d streams, %d slices\n", streams + 3, slices);
  return 0;
}
