// SPDX-License-Identifier: BSD-3-Clause
// How far a restored sequence of floats is from its original: relative MSE, SNR, largest error, cosine.
// Sums are in double over 8 lanes by position, so the result does not depend on how the sequence is cut
// into add() calls, nor on the CPU. merge() adds another accumulator's sums (order of merges matters in
// the last bits only).
//
// Example (std::span<const float> original, std::span<const float> restored):
//
//   ErrorMetrics metrics;
//   metrics.add(original, restored);
//   fmt::print("{} dB\n", metrics.snr_db());
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/error.h"

namespace llmcodec {

class ErrorMetrics {
 public:
  // Spans of equal length. Pairs with a NaN or infinity on either side are left out of the sums.
  void add(std::span<const float> original, std::span<const float> restored);
  void merge(const ErrorMetrics& other);

  // All sums, to be kept in a file and taken up again by from_sums(); nullopt for what is none of ours.
  std::vector<double> sums() const;
  static std::optional<ErrorMetrics> from_sums(std::span<const double> sums);

  uint64_t count() const { return count_; }  // all pairs seen

  double signal_energy() const;  // sum of original^2
  double error_energy() const;   // sum of (original - restored)^2
  // error / signal energy; 0 when both are 0, infinity when only the signal is 0.
  double relative_mse() const;
  // -10 log10(relative_mse()): infinity for an exact copy. For reports, never on the way to archive bytes.
  double snr_db() const;
  double mse() const;  // per finite pair; 0 for none
  double max_abs_error() const { return max_abs_error_; }
  // Of the two vectors; 1 when both are zero, 0 when only one is.
  double cosine() const;

 private:
  static constexpr size_t kLanes = 8;
  using Lanes = std::array<double, kLanes>;
  void add_one(size_t lane, float original, float restored);
  void add_groups(std::span<const float> original, std::span<const float> restored);
  Lanes signal_{};
  Lanes restored_{};
  Lanes product_{};
  Lanes error_{};
  double max_abs_error_ = 0;
  uint64_t count_ = 0;
  uint64_t nonfinite_ = 0;  // pairs with a value that is not finite
};

// 6.0206 * bpw - SNR: distance in dB to the rate-distortion bound of iid Gaussian input.
double gap_db(double bpw, double snr_db);

}  // namespace llmcodec
