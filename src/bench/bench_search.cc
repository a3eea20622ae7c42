// SPDX-License-Identifier: BSD-3-Clause
#include "bench/bench_search.h"

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/checked_math.h"

namespace llmcodec {
namespace {

constexpr double kMaxDeviations = 16;
constexpr double kQualitySlack = 0.05;  // bits a weight above the target that the scale takes back
constexpr int kMaxScaleTrials = 8;

double on_grid(const QualityRange& range, double quality) {
  const double last = std::floor((range.max - range.min) / range.step + 1e-9);
  const double steps = std::clamp(std::round((quality - range.min) / range.step), 0.0, last);
  return range.min + steps * range.step;
}

// A quality that spends at least `target_bpw` on the piece at the largest scale, the coarsest such that the
// search meets: the bracket closes by the encoder's own bits per octave of step and, every other time, by
// halving, since that slope is far off at the ends of many encoders' ranges. The finest if none does.
Result<double> find_quality(const Codec& codec, const BenchPlanes& piece, uint32_t bit_depth,
                            double target_bpw) {
  const QualityRange& range = codec.info().quality;
  if (range.lossless_only) return range.min;
  const double scale = piece.largest_scale(bit_depth);
  double fine = range.min, coarse = on_grid(range, range.max) + range.step;  // spends enough; does not
  double quality = on_grid(range, (fine + coarse) / 2);
  for (bool aim = true; coarse - fine >= 1.5 * range.step; aim = !aim) {
    LLMC_ASSIGN_OR_RETURN(const BenchPoint point, encode_point(codec, piece, bit_depth, quality, scale));
    (point.bpw >= target_bpw ? fine : coarse) = quality;
    const double error_bits = point.bpw - target_bpw;
    if (error_bits >= 0 && error_bits < kQualitySlack) break;
    const double aimed = quality + (error_bits - kQualitySlack / 2) * range.per_octave;
    const double next = aim ? aimed : (fine + coarse) / 2;
    quality = on_grid(range, std::clamp(next, fine + range.step, coarse - range.step));
  }
  return fine;
}

}  // namespace

double RateSecant::next(double log_scale, double bpw) {
  double slope = 1;
  if (has_last_ && log_scale != last_log_scale_) {
    slope = std::clamp((bpw - last_bpw_) / (log_scale - last_log_scale_), 0.2, 3.0);
  }
  has_last_ = true;
  last_log_scale_ = log_scale;
  last_bpw_ = bpw;
  return log_scale + std::clamp((target_ - bpw) / slope, -2.0, 2.0);
}

double scale_at(std::span<const float> row_scales, std::span<const float> col_scales, size_t row,
                size_t col) {
  return (row_scales.empty() ? 1.0 : double{row_scales[row]}) *
         (col_scales.empty() ? 1.0 : double{col_scales[col]});
}

BenchPlanes::BenchPlanes(const BenchSourceView& source)
    : weights_(source.weights),
      row_scales_(source.row_scales),
      col_scales_(source.col_scales),
      cut_as_asked_(source.pictures > 1) {
  const MatrixView<const float>& weights = source.weights;
  pictures_ = source.pictures != 0
                  ? source.pictures
                  : std::clamp<uint64_t>(ceil_div(weights.size(), kBenchPictureSamples), 1, weights.rows);
  picture_rows_ = weights.rows / pictures_;
  double energy = 0;
  for (size_t r = 0; r < picture_rows_ * pictures_; ++r) {
    for (const float w : weights.row(r)) {
      energy += double{w} * w;
      largest_ = std::max(largest_, std::abs(double{w}));
    }
  }
  deviation_ = std::sqrt(energy / static_cast<double>(this->weights()));
}

PictureFormat BenchPlanes::format(uint32_t bit_depth) const {
  return {static_cast<uint32_t>(picture_rows_), static_cast<uint32_t>(weights_.cols), bit_depth};
}

double BenchPlanes::largest_scale(uint32_t bit_depth) const {
  const double half_range = std::exp2(bit_depth - 1) - 1;
  return half_range / std::min(largest_, kMaxDeviations * deviation_);
}

std::vector<Plane> BenchPlanes::quantize(double scale, uint32_t bit_depth) const {
  const double mid = std::exp2(bit_depth - 1), most = std::exp2(bit_depth) - 1;
  std::vector<Plane> planes;
  for (size_t p = 0; p < pictures_; ++p) {
    Plane plane(static_cast<uint32_t>(picture_rows_), static_cast<uint32_t>(weights_.cols));
    const MutablePlaneView view = plane.view();
    for (size_t x = 0; x < view.cols; ++x) {
      for (size_t y = 0; y < view.rows; ++y) {
        view.at(y, x) =
            static_cast<uint16_t>(std::clamp(std::nearbyint(weight(p, x, y) * scale + mid), 0.0, most));
      }
    }
    planes.push_back(std::move(plane));
  }
  return planes;
}

double BenchPlanes::snr_db(const std::vector<Plane>& decoded, double scale, uint32_t bit_depth) const {
  const double mid = std::exp2(bit_depth - 1);
  double energy = 0, errors = 0;
  for (size_t p = 0; p < pictures_; ++p) {
    const PlaneView view = decoded[p].view();
    for (size_t x = 0; x < view.cols; ++x) {
      for (size_t y = 0; y < view.rows; ++y) {
        const double w = weight(p, x, y), difference = (view.at(y, x) - mid) / scale - w;
        const double factor = scale_at(row_scales_, col_scales_, p * picture_rows_ + x, y);
        energy += factor * factor * w * w;
        errors += factor * factor * difference * difference;
      }
    }
  }
  return 10 * std::log10(energy / errors);
}

BenchPlanes BenchPlanes::piece() const {
  if (cut_as_asked_) return *this;
  BenchPlanes small(
      weights_.block(0, 0, std::min<size_t>(picture_rows_, 512), std::min<size_t>(weights_.cols, 256)));
  if (small.deviation_ == 0) return *this;
  small.deviation_ = deviation_;  // so that its scales are those of the whole
  small.largest_ = largest_;
  return small;
}

void finish_row(double bpw, double snr_db, double tolerance, BenchRow* row) {
  row->bpw = bpw;
  row->snr_db = snr_db;
  row->gap_db = 20 * std::log10(2.0) * bpw - snr_db;
  if (std::abs(bpw - row->target_bpw) > tolerance * row->target_bpw) row->note = "off target";
}

double weights_per_second(uint64_t weights, double seconds) {
  return static_cast<double>(weights) / std::max(seconds, 1e-3) / 1e6;
}

double processor_seconds() {
  // User and system time together: the kernel divides its exact sum between the two by samples of some
  // milliseconds, so that either alone is often 0 for a small picture.
  timespec thread{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &thread);
  rusage children{};
  ::getrusage(RUSAGE_CHILDREN, &children);
  const auto seconds_of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return static_cast<double>(thread.tv_sec) + 1e-9 * static_cast<double>(thread.tv_nsec) +
         seconds_of(children.ru_utime) + seconds_of(children.ru_stime);
}

Result<BenchPoint> encode_point(const Codec& codec, const BenchPlanes& planes, uint32_t bit_depth,
                                double quality, double scale) {
  const std::vector<Plane> pictures = planes.quantize(scale, bit_depth);
  std::vector<PlaneView> views;
  for (const Plane& picture : pictures) views.push_back(picture.view());
  BenchPoint point{.quality = quality, .scale = scale, .bpw = 0, .stream = {}, .encode_seconds = 0};
  const double start = processor_seconds();
  LLMC_ASSIGN_OR_RETURN(point.stream, codec.encode(views, planes.format(bit_depth), quality));
  point.encode_seconds = processor_seconds() - start;
  point.bpw = 8.0 * static_cast<double>(point.stream.size()) / static_cast<double>(planes.weights());
  return point;
}

Result<BenchPoint> find_point(const Codec& codec, const BenchPlanes& planes, uint32_t bit_depth,
                              double target_bpw, double tolerance) {
  LLMC_ASSIGN_OR_RETURN(double quality, find_quality(codec, planes.piece(), bit_depth, target_bpw));
  const QualityRange& range = codec.info().quality;
  const double log_limit = std::log2(planes.largest_scale(bit_depth));
  // A lossless codec spends log2(scale * deviation) + 2.05 bits on Gaussian weights.
  double log_scale = range.lossless_only ? target_bpw - 2.05 - std::log2(planes.deviation()) : log_limit;
  std::optional<BenchPoint> best;
  RateSecant secant(target_bpw);
  for (int trial = 0; trial < kMaxScaleTrials; ++trial) {
    LLMC_ASSIGN_OR_RETURN(BenchPoint point, encode_point(codec, planes, bit_depth, quality,
                                                         std::exp2(std::min(log_scale, log_limit))));
    const bool at_limit = log_scale >= log_limit;
    const double bpw = point.bpw;
    if (!best || std::abs(bpw - target_bpw) < std::abs(best->bpw - target_bpw)) best = std::move(point);
    if (std::abs(best->bpw - target_bpw) <= tolerance * target_bpw) break;
    if (range.fixed_rate) {
      quality = on_grid(range, quality + (bpw - target_bpw) * range.per_octave);
    } else if (bpw < target_bpw && at_limit) {
      if (quality <= range.min) break;
      quality = on_grid(range, quality - range.step);  // the piece promised too much
      secant.forget();
    } else {
      log_scale = secant.next(std::min(log_scale, log_limit), bpw);
    }
  }
  return std::move(*best);
}

}  // namespace llmcodec
