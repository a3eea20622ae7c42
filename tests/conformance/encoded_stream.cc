// SPDX-License-Identifier: BSD-3-Clause
#include "encoded_stream.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/error.h"
#include "random.h"
#include "vvc/spatial/spatial_encoder.h"
#include "vvc/spectral/spectral_encoder.h"

namespace llmcodec::vvc {
namespace {

void must_succeed(const Status& status) {
  if (!status.is_ok()) {
    std::fprintf(stderr, "encoded_stream: %s\n", status.error().to_string().c_str());
    std::abort();
  }
}

// --- spatial

enum class Content { kFlat, kNoise, kRamp, kSpikes, kExtreme, kMixed };
constexpr const char* kContentNames[] = {"flat", "noise", "ramp", "spikes", "extreme", "mixed"};

int sample_of(Random& random, Content content, int x, int y, double deviation, int peak) {
  switch (content) {
    case Content::kFlat:
      return static_cast<int>(deviation) % (peak + 1);
    case Content::kNoise:
      return static_cast<int>(std::lround(peak / 2 + deviation * random.normal()));
    case Content::kRamp:
      return (x * 3 + y * 2) % (peak + 1);
    case Content::kSpikes:
      return random.one_in(200) ? (random.one_in(2) ? peak : 0) : peak / 2;
    case Content::kExtreme:
      return random.one_in(2) ? peak : 0;
    case Content::kMixed:  // another content in every 16x16 square
      return sample_of(random, static_cast<Content>((x / 16 * 7 + y / 16 * 3) % 5), x, y, deviation, peak);
  }
  return 0;
}

Plane picture_of(Random& random, const SpatialFormat& format, Content content) {
  const int peak = (1 << format.bit_depth) - 1;
  const double deviation = random.log_uniform(0.5, peak);
  Plane picture(format.width, format.height);
  for (uint32_t y = 0; y < format.height; ++y)
    for (uint32_t x = 0; x < format.width; ++x)
      picture.view().at(y, x) = static_cast<uint16_t>(std::clamp(
          sample_of(random, content, static_cast<int>(x), static_cast<int>(y), deviation, peak), 0, peak));
  return picture;
}

SpatialFormat spatial_format(Random& random) {
  SpatialFormat format;
  format.width = static_cast<uint32_t>(random.between(8, 300));
  format.height = static_cast<uint32_t>(random.between(8, 300));
  if (random.one_in(25)) {  // wide ones; the widest now and then
    format.width = random.one_in(4) ? 4096 : static_cast<uint32_t>(random.between(1000, 4096));
    format.height = random.one_in(4) ? 640 : static_cast<uint32_t>(random.between(8, 640));
  }
  if (random.one_in(30)) format.width = format.height = 8;
  format.bit_depth = random.one_in(2) ? 8 : 10;
  format.qp = random.between(-6 * (format.bit_depth - 8), 63);
  format.pictures = random.one_in(4) ? static_cast<uint32_t>(random.between(2, 4)) : 1;
  format.slice_ctu_rows = random.one_in(3) ? static_cast<uint32_t>(random.between(1, 2)) : 0;
  return format;
}

RandomStream spatial_stream(Random& random) {
  const SpatialFormat format = spatial_format(random);
  const auto content = static_cast<Content>(random.below(6));
  SpatialOptions options;
  options.qp_per_ctu = random.one_in(3);
  options.picture_hash = !random.one_in(4);
  RandomStream stream;
  stream.format = {format.width, format.height, static_cast<uint32_t>(format.bit_depth)};
  stream.description =
      fmt::format("spatial {}x{} x{} {} bit, QP {}{}, {}, slices of {}", format.width, format.height,
                  format.pictures, format.bit_depth, format.qp, options.qp_per_ctu ? " and per CTU" : "",
                  kContentNames[static_cast<int>(content)], format.slice_ctu_rows);
  if (format.width <= kCtuSize && format.slice_ctu_rows > 1)
    stream.foreign_trouble["ffmpeg"] = "one CTU wide";
  if (format.width < 16 || format.height < 16)  // random_stream.cc says why
    stream.foreign_trouble["vvdec"] = "the window cuts more than half";
  auto encoder = SpatialEncoder::create(format, options);
  if (!encoder.is_ok()) must_succeed(encoder.error());
  for (uint32_t i = 0; i < format.pictures; ++i) {
    const Plane source = picture_of(random, format, content);
    Plane decoded(format.width, format.height);
    for (uint32_t y = 0; y < format.height; y += kCtuSize) {
      std::vector<int> qps(options.qp_per_ctu ? (format.width + kCtuSize - 1) / kCtuSize : 0);
      for (int& qp : qps) qp = random.between(-6 * (format.bit_depth - 8), 63);
      PlaneView rows;
      const uint32_t height = std::min(kCtuSize, format.height - y);
      must_succeed(encoder->encode_row(source.view().block(y, 0, height, format.width), &rows, qps));
      for (uint32_t r = 0; r < height; ++r)
        std::copy(rows.row(r).begin(), rows.row(r).end(), decoded.view().row(y + r).begin());
    }
    stream.pictures.push_back(std::move(decoded));
  }
  stream.bytes = encoder->finish().value();
  return stream;
}

// --- spectral

// Weights in steps. Kinds: noise, with heavy tails, mostly zero, all large, one giant in zeros.
float weight_of(Random& random, int kind, double deviation) {
  const double normal = deviation * random.normal();
  switch (kind) {
    case 0:
      return static_cast<float>(normal);
    case 1:
      return static_cast<float>(random.one_in(50) ? 40 * normal : normal);
    case 2:
      return static_cast<float>(random.one_in(30) ? normal : 0);
    case 3:
      return static_cast<float>(random.one_in(2) ? 8 * deviation : -8 * deviation);
    default:
      return static_cast<float>(random.one_in(3000) ? 20000 : 0.3 * random.normal());
  }
}

RandomStream spectral_stream(Random& random) {
  SpectralFormat format;
  format.blocks_x = static_cast<uint32_t>(random.one_in(25) ? 128 : random.between(1, 12));
  format.blocks_y = static_cast<uint32_t>(random.one_in(25) ? 20 : random.between(1, 12));
  format.coefficients =
      static_cast<uint32_t>(random.one_in(4) ? random.between(1, 1023) : 32 * random.between(1, 31));
  format.bit_depth = random.one_in(4) ? 8 : 10;
  format.qp = random.between(-6 * (format.bit_depth - 8), 40);
  const int kind = random.below(5);
  const double deviation = random.log_uniform(0.1, 30);
  RandomStream stream;
  stream.format = {format.width(), format.height(), static_cast<uint32_t>(format.bit_depth)};
  stream.description =
      fmt::format("spectral {}x{} blocks, K {}, {} bit, QP {}, kind {}, deviation {}", format.blocks_x,
                  format.blocks_y, format.coefficients, format.bit_depth, format.qp, kind, deviation);
  auto encoder = SpectralEncoder::create(format, {});
  if (!encoder.is_ok()) must_succeed(encoder.error());
  std::vector<float> u(format.strip_coefficients());
  std::vector<int32_t> indices(u.size());
  for (uint32_t strip = 0; strip < format.blocks_y; ++strip) {
    for (float& value : u) value = weight_of(random, kind, deviation);
    StripEncoding work{.encoder = &*encoder, .coefficients = u, .indices = indices};
    SpectralEncoder::encode_strips({&work, 1});
    must_succeed(work.status);
  }
  Plane picture(format.width(), format.height());
  const PlaneView decoded = encoder->reconstruction();
  for (uint32_t y = 0; y < format.height(); ++y)
    std::copy_n(decoded.row(y).begin(), format.width(), picture.view().row(y).begin());
  stream.pictures.push_back(std::move(picture));
  stream.bytes = encoder->finish().value();
  return stream;
}

}  // namespace

RandomStream encoded_stream(uint32_t seed) {
  Random random(seed);
  return random.one_in(4) ? spectral_stream(random) : spatial_stream(random);
}

}  // namespace llmcodec::vvc
