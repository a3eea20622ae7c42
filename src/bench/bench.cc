// SPDX-License-Identifier: BSD-3-Clause
#include "llmcodec/bench.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <random>

#include "base/error.h"
#include "bench/bench_search.h"
#include "bench/bench_spectral.h"

namespace llmcodec {
namespace {

constexpr uint32_t kUsualBitDepth = 10;

float laplacian(std::mt19937_64& generator) {
  const double uniform = (static_cast<double>(generator() >> 11) + 0.5) * 0x1p-53 - 0.5;  // (-1/2, 1/2)
  return static_cast<float>(std::copysign(std::log1p(-2 * std::abs(uniform)), uniform) * -std::sqrt(0.5));
}

Status check_source(const BenchSourceView& source) {
  bool any = false;
  for (size_t r = 0; r < source.weights.rows; ++r) {
    for (const float w : source.weights.row(r)) {
      if (!std::isfinite(w)) {
        return error(ErrorKind::kInvalidArgument, "value that is not finite in row {}", r)
            .in_tensor(source.name);
      }
      any = any || w != 0;
    }
  }
  if (!any) return error(ErrorKind::kInvalidArgument, "no weights, or all zero").in_tensor(source.name);
  return Status::ok();
}

Status check_scales(const BenchSourceView& source) {
  const MatrixView<const float>& weights = source.weights;
  if (source.pictures > weights.rows)
    return error(ErrorKind::kInvalidArgument, "{} pictures of {} rows", source.pictures, weights.rows)
        .in_tensor(source.name);
  for (const auto& [scales, side] :
       {std::pair(source.row_scales, weights.rows), std::pair(source.col_scales, weights.cols)}) {
    const bool good = std::ranges::all_of(scales, [](float s) { return std::isfinite(s) && s > 0; });
    if (scales.empty() || (scales.size() == side && good)) continue;
    return error(ErrorKind::kInvalidArgument, "{} scales, not {} that are finite and positive", scales.size(),
                 side)
        .in_tensor(source.name);
  }
  return Status::ok();
}

Status check_request(const BenchRequest& request) {
  for (const double target : request.target_bpw) {
    if (!(target > 0.05 && target <= 16)) {
      return error(ErrorKind::kInvalidArgument, "{} bits per weight: 0.05 to 16 can be asked for", target);
    }
  }
  if (!(request.tolerance > 0)) return error(ErrorKind::kInvalidArgument, "tolerance must be positive");
  for (const BenchSourceView& source : request.sources) {
    LLMC_RETURN_IF_ERROR(check_source(source));
    LLMC_RETURN_IF_ERROR(check_scales(source));
  }
  return Status::ok();
}

uint32_t choose_depth(const CodecInfo& info, uint32_t wanted) {
  if (wanted != 0) return wanted;
  uint32_t chosen = info.bit_depths.front();
  for (const uint32_t depth : info.bit_depths) {
    if (depth <= kUsualBitDepth) chosen = depth;
  }
  return chosen;
}

// raw spends its depth whatever the weights are: the nearest whole depth, at the scale of least error.
Result<BenchPoint> find_raw_point(const Codec& codec, const BenchPlanes& planes, uint32_t bit_depth) {
  BenchPoint best;
  double best_snr = -1e9;
  for (double log_scale = 0; log_scale < 4; log_scale += 0.125) {
    const double scale = planes.largest_scale(bit_depth) * std::exp2(log_scale);
    const double snr = planes.snr_db(planes.quantize(scale, bit_depth), scale, bit_depth);
    if (snr <= best_snr) continue;
    best_snr = snr;
    best.scale = scale;
  }
  return encode_point(codec, planes, bit_depth, 0, best.scale);
}

struct Decoded {
  std::vector<Plane> planes;
  double seconds = 0;
};

Result<Decoded> decode_point(const Codec& codec, const BenchPoint& point, const PictureFormat& format,
                             size_t count) {
  Decoded decoded;
  decoded.planes.assign(count, Plane(format.width, format.height));
  std::vector<MutablePlaneView> views;
  for (Plane& plane : decoded.planes) views.push_back(plane.view());
  const double start = processor_seconds();
  LLMC_RETURN_IF_ERROR(codec.decode(point.stream, format, views));
  decoded.seconds = processor_seconds() - start;
  return decoded;
}

// Processor time of coding and of decoding next to nothing: process start, library set-up.
struct StartUp {
  double encode = 1e9, decode = 1e9;
};

Result<StartUp> measure_start_up(const Codec& codec, uint32_t bit_depth, double quality) {
  const std::vector<float> zeros_and_one = [] {
    std::vector<float> values(64 * 64);
    values[0] = 1;
    return values;
  }();
  const BenchPlanes tiny(MatrixView<const float>(zeros_and_one.data(), 64, 64));
  StartUp least;
  for (int i = 0; i < 2; ++i) {
    LLMC_ASSIGN_OR_RETURN(const BenchPoint point,
                          encode_point(codec, tiny, bit_depth, quality, tiny.largest_scale(bit_depth)));
    LLMC_ASSIGN_OR_RETURN(const Decoded decoded, decode_point(codec, point, tiny.format(bit_depth), 1));
    least.encode = std::min(least.encode, point.encode_seconds);
    least.decode = std::min(least.decode, decoded.seconds);
  }
  return least;
}

// Once for a codec with its options: of one process after the other it is always the same.
Result<StartUp> start_up_of(const Codec& codec, uint32_t bit_depth, double quality) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, uint32_t>, StartUp> known;
  const std::pair key(codec.spec(), bit_depth);
  const std::lock_guard lock(mutex);
  if (const auto found = known.find(key); found != known.end()) return found->second;
  LLMC_ASSIGN_OR_RETURN(const StartUp start_up, measure_start_up(codec, bit_depth, quality));
  return known.emplace(key, start_up).first->second;
}

Status measure(const Codec& codec, const BenchPlanes& planes, const BenchRequest& request, BenchRow* row) {
  const bool fixed_rate = codec.info().name == "raw";
  row->bit_depth = choose_depth(codec.info(), request.bit_depth);
  if (fixed_rate && request.bit_depth == 0) {
    row->bit_depth = static_cast<uint32_t>(std::clamp(std::round(row->target_bpw), 1.0, 16.0));
  }
  LLMC_ASSIGN_OR_RETURN(const BenchPoint point, fixed_rate ? find_raw_point(codec, planes, row->bit_depth)
                                                           : find_point(codec, planes, row->bit_depth,
                                                                        row->target_bpw, request.tolerance));
  LLMC_ASSIGN_OR_RETURN(const Decoded decoded,
                        decode_point(codec, point, planes.format(row->bit_depth), planes.pictures()));
  LLMC_ASSIGN_OR_RETURN(const StartUp start_up, start_up_of(codec, row->bit_depth, point.quality));
  row->quality = point.quality;
  row->plane_scale = point.scale * planes.deviation();
  finish_row(point.bpw, planes.snr_db(decoded.planes, point.scale, row->bit_depth), request.tolerance, row);
  row->encode_seconds = point.encode_seconds;
  row->decode_seconds = decoded.seconds;
  row->encode_mws = weights_per_second(row->weights, point.encode_seconds - start_up.encode);
  row->decode_mws = weights_per_second(row->weights, decoded.seconds - start_up.decode);
  return Status::ok();
}

Status fill_row(const BenchRequest& request, const BenchSourceView& source, BenchRow* row) {
  if (row->codec.starts_with(kSpectralSpec)) return measure_spectral(source, request.tolerance, row);
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<Codec> codec, open_codec(row->codec, request.environment));
  const BenchPlanes planes(source);
  row->weights = planes.weights();
  row->version = codec->info().version;
  return measure(*codec, planes, request, row);
}

BenchRow bench_row(const BenchRequest& request, const BenchSourceView& source, const std::string& spec,
                   double target) {
  BenchRow row{.codec = spec, .source = source.name, .target_bpw = target, .note = {}};
  if (const Status status = fill_row(request, source, &row); !status.is_ok())
    row.note = status.error().to_string();
  return row;
}

}  // namespace

Result<BenchSource> make_bench_source(const std::string& name, size_t rows, size_t cols, uint64_t seed) {
  const bool is_gaussian = name == "gaussian";
  if (!is_gaussian && name != "laplacian") {
    return error(ErrorKind::kInvalidArgument, "source '{}' is neither gaussian nor laplacian", name);
  }
  if (rows == 0 || cols == 0 || rows > (size_t{1} << 31) / cols) {
    return error(ErrorKind::kInvalidArgument, "source of {}x{} weights", rows, cols);
  }
  BenchSource source{name, rows, cols, std::vector<float>(rows * cols)};
  std::mt19937_64 generator(seed);
  std::normal_distribution<float> normal;
  for (float& weight : source.weights) weight = is_gaussian ? normal(generator) : laplacian(generator);
  return source;
}

Result<std::vector<BenchRow>> run_bench(const BenchRequest& request) {
  LLMC_RETURN_IF_ERROR(check_request(request));
  std::vector<BenchRow> rows;
  for (const BenchSourceView& source : request.sources) {
    for (const std::string& spec : request.codecs) {
      for (const double target : request.target_bpw) {
        if (request.cancelled && request.cancelled()) return error(ErrorKind::kInterrupted, "interrupted");
        rows.push_back(bench_row(request, source, spec, target));
        if (request.on_row) request.on_row(rows.back());
      }
    }
  }
  return rows;
}

}  // namespace llmcodec
