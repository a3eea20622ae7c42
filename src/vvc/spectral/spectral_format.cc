// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spectral/spectral_format.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace llmcodec::vvc {

Status check(const SpectralFormat& format) {
  const auto invalid = [](const char* what, int64_t value) {
    return error(ErrorKind::kInvalidArgument, "spectral picture: {} is {}", what, value);
  };
  if (format.blocks_x < 1 || format.blocks_x > kMaxSpectralBlocks)
    return invalid("blocks_x", format.blocks_x);
  if (format.blocks_y < 1 || format.blocks_y > kMaxSpectralBlocks)
    return invalid("blocks_y", format.blocks_y);
  if (format.coefficients < 1 || format.coefficients > kMaxSpectralCoefficients)
    return invalid("coefficients", format.coefficients);
  if (format.bit_depth != 8 && format.bit_depth != 10) return invalid("bit_depth", format.bit_depth);
  if (format.qp < -6 * (format.bit_depth - 8) || format.qp > kMaxQp) return invalid("qp", format.qp);
  return Status::ok();
}

Sps spectral_sps(const SpectralFormat& format) {
  Sps sps;
  sps.sps_log2_ctu_size_minus5 = 0;
  sps.sps_pic_width_max_in_luma_samples = format.width();
  sps.sps_pic_height_max_in_luma_samples = format.height();
  sps.sps_bitdepth_minus8 = static_cast<uint32_t>(format.bit_depth - 8);
  sps.sps_mrl_enabled_flag = false;  // never legal on the first row of a CTU
  return sps;
}

Pps spectral_pps(const SpectralFormat& format) {
  Pps pps;
  pps.pps_pic_width_in_luma_samples = format.width();
  pps.pps_pic_height_in_luma_samples = format.height();
  pps.pps_init_qp_minus26 = format.qp - 26;
  pps.pps_cu_qp_delta_enabled_flag = true;
  return pps;
}

uint32_t spectral_coefficients_for_rate(double bits) {
  // Upper end of the rate range in bits per weight, and m.
  struct Row {
    double bits;
    uint32_t outputs;
  };
  static constexpr Row kRows[] = {{1.45, 31}, {1.75, 29}, {2.00, 26}, {2.20, 24}, {2.40, 23},
                                  {2.65, 21}, {2.90, 19}, {3.10, 18}, {3.60, 17}, {3.80, 15}};
  for (const Row& row : kRows)
    if (bits <= row.bits) return 32 * row.outputs;
  return 32 * 14;
}

uint32_t spectral_outputs_for_rate(double bits, uint64_t outputs) {
  // Losses in dB: a zero among the weights costs about a bit (measured 0.24 dB for 3.8 % of them), being d
  // off the best m about 0.004 d^2.
  constexpr double kPaddingLoss = 6.0, kDistanceLoss = 0.004;
  const int best = static_cast<int>(spectral_coefficients_for_rate(bits) / 32);
  int chosen = best;
  double least = 1e9;
  const int smallest =
      static_cast<int>(std::min<uint64_t>(outputs, static_cast<uint64_t>(std::max(1, best - 6))));
  for (int m = smallest; m <= std::min(31, best + 6); ++m) {
    const uint64_t coded =
        (outputs + static_cast<uint64_t>(m) - 1) / static_cast<uint64_t>(m) * static_cast<uint64_t>(m);
    const double padding = static_cast<double>(coded - outputs) / static_cast<double>(outputs);
    const double loss = kPaddingLoss * padding + kDistanceLoss * (m - best) * (m - best);
    if (loss <= least) {  // larger blocks when equal: fewer samples
      least = loss;
      chosen = m;
    }
  }
  return static_cast<uint32_t>(chosen);
}

int spectral_qp_for_rate(double bits) {
  // Deviation in samples: 37 at 1.4 bits and QP 28, 49 at 2.3 and 25, 47 at 3.0 and 22, 42 at 4.0 and 16.
  return bits <= 1.4 ? 28 : bits <= 2.3 ? 25 : bits <= 3.1 ? 22 : bits <= 3.6 ? 19 : 16;
}

int spectral_strip_qp(const SpectralFormat& format, double rms) {
  // Samples at 10 bits. Clipping starts at 512; 70 leaves more than seven deviations.
  constexpr double kQuietStrip = 15, kLoudStrip = 70;
  // Below a QP of 7 an index is worth less than 3.2 samples and drowns in their rounding;
  // above 37 one is worth 100.
  constexpr int kLadder = 3, kMinQp = 7, kMaxStripQp = 37;
  // 2^(i / 6), written out: libm differs from machine to machine.
  constexpr double kSixths[] = {1.0, 1.122462, 1.259921, 1.414214, 1.587401, 1.781797};
  const double spread = rms * std::sqrt(static_cast<double>(format.coefficients)) / 32;  // samples at Du = 1
  const auto deviation = [&](int qp) {
    const int sixths = qp + 3 + 36;
    return spread * std::ldexp(kSixths[sixths % 6], sixths / 6 - 6);
  };
  int qp = format.qp;
  while (deviation(qp) > kLoudStrip && qp - kLadder >= kMinQp) qp -= kLadder;
  while (rms > 0 && deviation(qp) < kQuietStrip && qp + kLadder <= kMaxStripQp) qp += kLadder;
  return qp;
}

}  // namespace llmcodec::vvc
