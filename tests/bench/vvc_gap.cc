// SPDX-License-Identifier: BSD-3-Clause
// Gap to the rate-distortion bound, and speed, of both VVC encoders on iid Gaussian weights.
//
//   vvc_gap STEP K [OPTIONS]            spectral
//   vvc_gap SIGMA spatial [OPTIONS]     spatial, 10 bits
//   OPTIONS: --weights N --lambda L --qp Q --pictures P --out FILE.266 --yuv FILE.yuv
//
// STEP is in deviations, SIGMA in samples. Prints bits per weight (whole stream), SNR, gap = 6.0206 *
// bits - SNR, weights lost as outliers and the processor time of one of P equal pictures side by side
// (spectral). --yuv writes the reconstruction for comparison with a foreign decoder.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "vvc/spatial/spatial_encoder.h"
#include "vvc/spatial/stream_decoder.h"
#include "vvc/spectral/spectral_decoder.h"
#include "vvc/spectral/spectral_encoder.h"

namespace {

using namespace llmcodec;
using namespace llmcodec::vvc;

// Processor time of this thread: the same on a busy machine.
double cpu_seconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

struct Arguments {
  double step = 0.44;
  uint32_t coefficients = 736;
  uint64_t weights = 1 << 20;
  int qp = 16;
  size_t pictures = 1;
  SpectralOptions options;
  std::string out, yuv;
};

Arguments parse(int argc, char** argv) {
  Arguments a;
  if (argc > 1) a.step = std::atof(argv[1]);
  if (argc > 2) a.coefficients = static_cast<uint32_t>(std::atoi(argv[2]));
  for (int i = 3; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    if (name == "--weights") a.weights = std::strtoull(argv[i + 1], nullptr, 10);
    if (name == "--pictures") a.pictures = std::strtoull(argv[i + 1], nullptr, 10);
    if (name == "--qp") a.qp = std::atoi(argv[i + 1]);
    if (name == "--lambda") a.options.lambda = std::atof(argv[i + 1]);
    if (name == "--out") a.out = argv[i + 1];
    if (name == "--yuv") a.yuv = argv[i + 1];
  }
  return a;
}

// Seconds a picture that our parser needs for `count` copies of one.
Result<double> decode_seconds(std::span<const std::byte> stream, uint32_t coefficients, size_t count) {
  const auto start = cpu_seconds();
  std::vector<SpectralDecoder> decoders;
  std::vector<std::vector<int32_t>> indices;
  std::vector<SpectralPicture> pictures;
  for (size_t i = 0; i < count; ++i) {
    LLMC_ASSIGN_OR_RETURN(SpectralDecoder decoder, SpectralDecoder::open(stream, coefficients));
    indices.emplace_back(decoder.format().strip_coefficients() * decoder.format().blocks_y);
    decoders.push_back(std::move(decoder));
  }
  for (size_t i = 0; i < count; ++i) pictures.push_back({.decoder = &decoders[i], .indices = indices[i]});
  SpectralDecoder::decode_pictures(pictures);
  for (SpectralPicture& picture : pictures) LLMC_RETURN_IF_ERROR(std::move(picture.status));
  return (cpu_seconds() - start) / static_cast<double>(count);
}

Status run(const Arguments& a) {
  const double blocks = static_cast<double>(a.weights) / a.coefficients;
  SpectralFormat format;
  format.blocks_x = static_cast<uint32_t>(std::max(1.0, std::sqrt(blocks)));
  format.blocks_y = static_cast<uint32_t>(std::max(1.0, blocks / format.blocks_x));
  format.coefficients = a.coefficients;
  format.qp = a.qp;
  std::vector<SpectralEncoder> encoders;
  for (size_t i = 0; i < a.pictures; ++i) {
    LLMC_ASSIGN_OR_RETURN(SpectralEncoder encoder, SpectralEncoder::create(format, a.options));
    encoders.push_back(std::move(encoder));
  }
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal(0, 1 / a.step);
  std::vector<float> u(format.strip_coefficients());
  std::vector<std::vector<int32_t>> all_indices(a.pictures, std::vector<int32_t>(u.size()));
  const std::vector<int32_t>& indices = all_indices[0];
  std::vector<uint32_t> outliers;
  double energy = 0, error_energy = 0, seconds = 0;
  for (uint32_t strip = 0; strip < format.blocks_y; ++strip) {
    for (float& value : u) value = static_cast<float>(normal(random));
    std::vector<StripEncoding> strips;
    for (size_t i = 0; i < a.pictures; ++i)
      strips.push_back({&encoders[i], u, all_indices[i], i == 0 ? &outliers : nullptr});
    const auto start = cpu_seconds();
    SpectralEncoder::encode_strips(strips);
    seconds += (cpu_seconds() - start) / static_cast<double>(a.pictures);
    for (StripEncoding& encoded : strips) LLMC_RETURN_IF_ERROR(std::move(encoded.status));
    for (size_t i = 0; i < u.size(); ++i) {
      energy += u[i] * u[i];
      error_energy += (u[i] - static_cast<float>(indices[i])) * (u[i] - static_cast<float>(indices[i]));
    }
  }
  const double count = static_cast<double>(u.size()) * format.blocks_y;
  if (!a.yuv.empty()) {
    const PlaneView picture = encoders[0].reconstruction();
    std::ofstream(a.yuv, std::ios::binary)
        .write(reinterpret_cast<const char*>(picture.data), static_cast<std::streamsize>(picture.size() * 2));
  }
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> stream, encoders[0].finish());
  if (!a.out.empty())
    std::ofstream(a.out, std::ios::binary)
        .write(reinterpret_cast<const char*>(stream.data()), static_cast<std::streamsize>(stream.size()));
  LLMC_ASSIGN_OR_RETURN(const double reading, decode_seconds(stream, a.coefficients, a.pictures));
  const double bits = 8.0 * static_cast<double>(stream.size()) / count;
  const double snr = 10 * std::log10(energy / error_energy);
  std::printf(
      "step %.4f K %u lambda %.2f: %u x %u blocks, %.4f bpw, SNR %.3f dB, gap %.3f dB, outliers %zu, "
      "encode %.0f, decode %.0f ns/weight\n",
      a.step, a.coefficients, a.options.lambda, format.blocks_x, format.blocks_y, bits, snr,
      6.0206 * bits - snr, outliers.size(), seconds / count * 1e9, reading / count * 1e9);
  return Status::ok();
}

Status run_spatial(const Arguments& a) {
  const auto size = static_cast<uint32_t>(std::sqrt(static_cast<double>(a.weights)));
  Plane source(size, size), decoded(size, size);
  std::mt19937_64 random(1);
  std::normal_distribution<double> normal(0, a.step);
  std::vector<double> weights(size_t{size} * size);
  for (size_t i = 0; i < weights.size(); ++i) {
    weights[i] = normal(random);
    source.view().data[i] = static_cast<uint16_t>(std::clamp(std::lround(512 + weights[i]), 0L, 1023L));
  }
  const PlaneView in[] = {source.view()};
  const MutablePlaneView out[] = {decoded.view()};
  const auto start = cpu_seconds();
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> stream,
                        encode_spatial(in, {.width = size, .height = size, .bit_depth = 10, .qp = a.qp},
                                       {.lambda = a.options.lambda}, out));
  const double seconds = cpu_seconds() - start;
  const auto decode_start = cpu_seconds();
  LLMC_RETURN_IF_ERROR(decode_each(stream, {}, [](const DecodedPicture&) { return Status::ok(); }));
  const double reading = cpu_seconds() - decode_start;
  double energy = 0, error_energy = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    energy += weights[i] * weights[i];
    error_energy += std::pow(weights[i] - (decoded.view().data[i] - 512.0), 2);
  }
  if (!a.yuv.empty())
    std::ofstream(a.yuv, std::ios::binary)
        .write(reinterpret_cast<const char*>(decoded.view().data),
               static_cast<std::streamsize>(weights.size() * 2));
  if (!a.out.empty())
    std::ofstream(a.out, std::ios::binary)
        .write(reinterpret_cast<const char*>(stream.data()), static_cast<std::streamsize>(stream.size()));
  const double count = static_cast<double>(weights.size());
  const double bits = 8.0 * static_cast<double>(stream.size()) / count;
  const double snr = 10 * std::log10(energy / error_energy);
  std::printf(
      "spatial sigma %.1f qp %d lambda %.2f: %.4f bpw, SNR %.3f dB, gap %.3f dB, encode %.0f, decode %.0f "
      "ns/weight\n",
      a.step, a.qp, a.options.lambda, bits, snr, 6.0206 * bits - snr, seconds / count * 1e9,
      reading / count * 1e9);
  return Status::ok();
}

}  // namespace

int main(int argc, char** argv) {
  const bool spatial = argc > 2 && std::string(argv[2]) == "spatial";
  const Status status = spatial ? run_spatial(parse(argc, argv)) : run(parse(argc, argv));
  if (!status.is_ok()) std::fprintf(stderr, "%s\n", status.error().to_string().c_str());
  return status.is_ok() ? 0 : 1;
}
