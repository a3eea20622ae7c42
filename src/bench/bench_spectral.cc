// SPDX-License-Identifier: BSD-3-Clause
#include "bench/bench_spectral.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

#include "base/error.h"
#include "codec/codec_spec.h"
#include "llmcodec/version.h"
#include "plane/spectral_layout.h"
#include "vvc/spectral/spectral_decoder.h"
#include "vvc/spectral/spectral_encoder.h"

namespace llmcodec {
namespace {

constexpr int kMaxTrials = 10;
constexpr double kOutlierBytes = 8;

struct Outlier {
  uint64_t picture, position;  // in picture_coefficients()
  float value;
};

struct SpectralPoint {
  double step = 0;
  double bpw = 0;
  double encode_seconds = 0;
  std::vector<std::vector<std::byte>> streams;
  std::vector<Outlier> outliers;
};

// What stays the same from trial to trial.
struct SpectralBench {
  MatrixView<const float> weights;
  SpectralLayout layout;
  vvc::SpectralFormat format;
  vvc::SpectralOptions options;
};

Result<SpectralBench> make_bench(MatrixView<const float> weights, const BenchRow& row) {
  LLMC_ASSIGN_OR_RETURN(const CodecSpec spec, parse_codec_spec(row.codec));
  SpectralBench bench{weights, {}, {}, {}};
  for (const auto& [key, value] : spec.options) {
    if (key == "layout" && value == "spectral") continue;
    char* end = nullptr;
    bench.options.lambda = std::strtod(value.c_str(), &end);
    if (key != "lambda" || value.empty() || *end != '\0') {
      return error(ErrorKind::kInvalidArgument, "codec 'vvc:layout=spectral' cannot take {}={}", key, value);
    }
  }
  const uint32_t coefficients = vvc::spectral_coefficients_for_rate(row.target_bpw);
  LLMC_ASSIGN_OR_RETURN(
      bench.layout,
      SpectralLayout::make(weights.rows, weights.cols, coefficients / kStripInputs, kBenchPictureSamples));
  bench.format = {.blocks_x = bench.layout.blocks_x,
                  .blocks_y = bench.layout.strips,
                  .coefficients = coefficients,
                  .bit_depth = 10,
                  .qp = vvc::spectral_qp_for_rate(row.target_bpw)};
  return bench;
}

MatrixView<const float> picture_rows(const SpectralBench& bench, uint64_t picture) {
  const PictureRect rect = bench.layout.picture(picture);
  return bench.weights.block(rect.first_row, rect.first_col, rect.rows, rect.cols);
}

// A picture on its way through the encoder.
struct PictureWork {
  uint64_t picture;
  vvc::SpectralEncoder encoder;
  std::vector<float> coefficients;  // in steps
  std::vector<int32_t> indices;     // of the strip
  std::vector<uint32_t> outliers;
};

Result<std::vector<PictureWork>> open_pictures(const SpectralBench& bench, double step) {
  std::vector<PictureWork> pictures;
  for (uint64_t p = 0; p < bench.layout.pictures(); ++p) {
    LLMC_ASSIGN_OR_RETURN(auto encoder, vvc::SpectralEncoder::create(bench.format, bench.options));
    PictureWork work{p,
                     std::move(encoder),
                     std::vector<float>(bench.layout.picture_coefficients()),
                     std::vector<int32_t>(bench.layout.strip_coefficients()),
                     {}};
    gather_picture(bench.layout, picture_rows(bench, p), work.coefficients);
    for (float& w : work.coefficients) w = static_cast<float>(w / step);
    pictures.push_back(std::move(work));
  }
  return pictures;
}

// The same strip of all pictures, written side by side.
Status encode_strips(const SpectralBench& bench, uint32_t strip, std::vector<PictureWork>& pictures,
                     SpectralPoint* point) {
  std::vector<vvc::StripEncoding> work;
  const uint64_t count = bench.layout.strip_coefficients();
  for (PictureWork& p : pictures) {
    p.outliers.clear();
    const auto coefficients = std::span<const float>(p.coefficients).subspan(strip * count, count);
    work.push_back({&p.encoder, coefficients, p.indices, &p.outliers});
  }
  vvc::SpectralEncoder::encode_strips(work);
  for (vvc::StripEncoding& encoded : work) LLMC_RETURN_IF_ERROR(std::move(encoded.status));
  for (const PictureWork& p : pictures)
    for (const uint32_t at : p.outliers)
      point->outliers.push_back({p.picture, strip * count + at, p.coefficients[strip * count + at]});
  return Status::ok();
}

Result<SpectralPoint> encode_at(const SpectralBench& bench, double step) {
  SpectralPoint point;
  point.step = step;
  const double start = processor_seconds();
  LLMC_ASSIGN_OR_RETURN(std::vector<PictureWork> pictures, open_pictures(bench, step));
  for (uint32_t strip = 0; strip < bench.layout.strips; ++strip)
    LLMC_RETURN_IF_ERROR(encode_strips(bench, strip, pictures, &point));
  for (PictureWork& p : pictures) {
    LLMC_ASSIGN_OR_RETURN(std::vector<std::byte> stream, p.encoder.finish());
    point.streams.push_back(std::move(stream));
  }
  point.encode_seconds = processor_seconds() - start;
  std::ranges::stable_sort(point.outliers, {}, &Outlier::picture);
  double bytes = kOutlierBytes * static_cast<double>(point.outliers.size());
  for (const auto& stream : point.streams) bytes += static_cast<double>(stream.size());
  point.bpw = 8 * bytes / static_cast<double>(bench.weights.size());
  return point;
}

// The indices of every picture, read side by side.
Result<std::vector<std::vector<int32_t>>> decode_indices(const SpectralBench& bench,
                                                         const SpectralPoint& point) {
  std::vector<std::vector<int32_t>> indices;
  std::vector<vvc::SpectralDecoder> decoders;
  for (const auto& stream : point.streams) {
    LLMC_ASSIGN_OR_RETURN(auto decoder, vvc::SpectralDecoder::open(stream, bench.format.coefficients));
    decoders.push_back(std::move(decoder));
    indices.emplace_back(bench.layout.picture_coefficients());
  }
  std::vector<vvc::SpectralPicture> pictures;
  for (size_t i = 0; i < decoders.size(); ++i)
    pictures.push_back({.decoder = &decoders[i], .indices = indices[i]});
  vvc::SpectralDecoder::decode_pictures(pictures);
  for (vvc::SpectralPicture& picture : pictures) LLMC_RETURN_IF_ERROR(std::move(picture.status));
  return indices;
}

// The whole matrix, rows x cols.
Result<std::vector<float>> decode_all(const SpectralBench& bench, const SpectralPoint& point) {
  LLMC_ASSIGN_OR_RETURN(const auto indices, decode_indices(bench, point));
  std::vector<float> decoded(bench.weights.size());
  MatrixView<float> matrix(decoded.data(), bench.weights.rows, bench.weights.cols);
  std::vector<float> coefficients(bench.layout.picture_coefficients());
  size_t next_outlier = 0;
  for (uint64_t p = 0; p < bench.layout.pictures(); ++p) {
    std::ranges::transform(indices[p], coefficients.begin(),
                           [](int32_t index) { return static_cast<float>(index); });
    for (; next_outlier < point.outliers.size() && point.outliers[next_outlier].picture == p;
         ++next_outlier) {
      coefficients[point.outliers[next_outlier].position] = point.outliers[next_outlier].value;
    }
    const PictureRect rect = bench.layout.picture(p);
    scatter_picture<float>(bench.layout, coefficients, static_cast<float>(point.step),
                           matrix.block(rect.first_row, rect.first_col, rect.rows, rect.cols));
  }
  return decoded;
}

Result<SpectralPoint> find_step(const SpectralBench& bench, double deviation, double target_bpw,
                                double tolerance) {
  RateSecant secant(target_bpw);
  // About where an entropy-coded quantiser would be.
  double log_scale = target_bpw - 2.0 - std::log2(deviation);
  std::optional<SpectralPoint> best;
  for (int trial = 0; trial < kMaxTrials; ++trial) {
    LLMC_ASSIGN_OR_RETURN(SpectralPoint point, encode_at(bench, std::exp2(-log_scale)));
    log_scale = secant.next(log_scale, point.bpw);
    if (!best || std::abs(point.bpw - target_bpw) < std::abs(best->bpw - target_bpw)) best = std::move(point);
    if (std::abs(best->bpw - target_bpw) <= tolerance * target_bpw) break;
  }
  return std::move(*best);
}

struct Energies {
  double signal = 0, error = 0;
};

Energies energies(const BenchSourceView& source, const std::vector<float>& decoded) {
  const MatrixView<const float>& weights = source.weights;
  Energies sums;
  for (size_t r = 0; r < weights.rows; ++r) {
    for (size_t c = 0; c < weights.cols; ++c) {
      const double w = weights.at(r, c), difference = decoded[r * weights.cols + c] - w;
      const double factor = scale_at(source.row_scales, source.col_scales, r, c);
      sums.signal += factor * factor * w * w;
      sums.error += factor * factor * difference * difference;
    }
  }
  return sums;
}

}  // namespace

Status measure_spectral(const BenchSourceView& source, double tolerance, BenchRow* row) {
  const MatrixView<const float>& weights = source.weights;
  LLMC_ASSIGN_OR_RETURN(const SpectralBench bench, make_bench(weights, *row));
  const double deviation = std::sqrt(energies({{}, weights}, std::vector<float>(weights.size())).signal /
                                     static_cast<double>(weights.size()));
  LLMC_ASSIGN_OR_RETURN(const SpectralPoint point, find_step(bench, deviation, row->target_bpw, tolerance));
  const double start = processor_seconds();
  LLMC_ASSIGN_OR_RETURN(const std::vector<float> decoded, decode_all(bench, point));
  const double decode_seconds = processor_seconds() - start;
  const Energies sums = energies(source, decoded);
  finish_row(point.bpw, 10 * std::log10(sums.signal / sums.error), tolerance, row);
  row->weights = weights.size();
  row->version = "llmcodec " LLMCODEC_VERSION;
  row->bit_depth = static_cast<uint32_t>(bench.format.bit_depth);
  row->quality = bench.format.qp;
  row->plane_scale = deviation / point.step;
  row->encode_seconds = point.encode_seconds;
  row->decode_seconds = decode_seconds;
  row->encode_mws = weights_per_second(row->weights, point.encode_seconds);
  row->decode_mws = weights_per_second(row->weights, decode_seconds);
  return Status::ok();
}

}  // namespace llmcodec
