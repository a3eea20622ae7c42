// SPDX-License-Identifier: BSD-3-Clause
// Finds plane scale and quality at which a codec spends a wanted number of bits per weight on given weights.
//
// Two facts make it short: halving the plane scale, or doubling the quantiser step, takes about one bit from
// every weight; and the scale is continuous. So the quality is found on a small piece, to the coarsest value
// that still spends at least the target, and the scale then lowers the rate to it by secants on log2(scale).
#pragma once

#include <vector>

#include "llmcodec/bench.h"

namespace llmcodec {

// Weights cut into pictures, and their statistics.
class BenchPlanes {
 public:
  // Precondition: finite weights, not all zero; no more pictures than rows, and scales as BenchSourceView has them.
  explicit BenchPlanes(const BenchSourceView& source);
  explicit BenchPlanes(MatrixView<const float> weights) : BenchPlanes(BenchSourceView{{}, weights}) {}

  uint64_t weights() const { return uint64_t{picture_rows_} * weights_.cols * pictures_; }
  PictureFormat format(uint32_t bit_depth) const;
  size_t pictures() const { return pictures_; }
  // Samples per unit of weight at which no weight, or none within 16 deviations, is clipped.
  double largest_scale(uint32_t bit_depth) const;
  double deviation() const { return deviation_; }

  // Affine, mid-grey for zero, clipped to the depth.
  std::vector<Plane> quantize(double scale, uint32_t bit_depth) const;
  // Energy of the weights over the energy of (decoded / scale - weights), in dB; both with the source's scales.
  double snr_db(const std::vector<Plane>& decoded, double scale, uint32_t bit_depth) const;
  // The first at most 512 x 256 weights, for quick trials. All of them where the source said into how many pictures it is
  // cut: what pictures cost that are predicted from others, no single one tells.
  BenchPlanes piece() const;

 private:
  float weight(size_t picture, size_t x, size_t y) const {
    return weights_.at(picture * picture_rows_ + x, y);
  }

  MatrixView<const float> weights_;
  std::span<const float> row_scales_, col_scales_;
  bool cut_as_asked_ = false;
  size_t pictures_ = 1;
  size_t picture_rows_ = 0;
  double deviation_ = 0, largest_ = 0;
};

// Finds where the rate is `target_bpw` by secants; before the second point it supposes one bit
// per octave of scale.
class RateSecant {
 public:
  explicit RateSecant(double target_bpw) : target_(target_bpw) {}
  // Takes the rate at one log2(scale), gives the next one to try.
  double next(double log_scale, double bpw);
  void forget() { has_last_ = false; }  // the curve has changed

 private:
  double target_;
  bool has_last_ = false;
  double last_log_scale_ = 0, last_bpw_ = 0;
};

struct BenchPoint {
  double quality = 0;
  double scale = 0;  // samples per unit of weight
  double bpw = 0;
  std::vector<std::byte> stream;
  double encode_seconds = 0;  // processor time
};

// What a weight stands for, over the weight.
double scale_at(std::span<const float> row_scales, std::span<const float> col_scales, size_t row, size_t col);

// Sets bpw, snr_db, gap_db, and the note of a row that missed its target.
void finish_row(double bpw, double snr_db, double tolerance, BenchRow* row);
// In millions; a millisecond is the least that counts.
double weights_per_second(uint64_t weights, double seconds);

// Processor time of this thread and of the children that the process has waited for.
double processor_seconds();

Result<BenchPoint> encode_point(const Codec& codec, const BenchPlanes& planes, uint32_t bit_depth,
                                double quality, double scale);

// The best point found; its bpw may be off the target when the codec cannot reach it.
Result<BenchPoint> find_point(const Codec& codec, const BenchPlanes& planes, uint32_t bit_depth,
                              double target_bpw, double tolerance);

}  // namespace llmcodec
