// SPDX-License-Identifier: BSD-3-Clause
#include "compress/expected_rows.h"

#include <algorithm>

#include "quant/portable_math.h"
#include "rate/gaussian_rate.h"

namespace llmcodec {
namespace {

constexpr double kLeastRms = 0x1p-20;  // of rows that are all zero

// Energy of a row whose scale is 1 and whose u are 1.
double column_energy(const MatrixScales& scales) {
  if (scales.col_codes.empty()) return static_cast<double>(scales.cols);
  double energy = 0;
  for (const float scale : decode_all(scales.col_code, scales.col_codes)) energy += double{scale} * scale;
  return energy;
}

// Of groups, their mean square.
double row_scale_energy(const MatrixScales& scales, uint64_t row) {
  if (!scales.row_codes.empty()) {
    const double scale = scales.row_code.decode(scales.row_codes[row]);
    return scale * scale;
  }
  const uint64_t groups = scales.groups();
  double energy = 0;
  for (uint64_t g = 0; g < groups; ++g) {
    const double scale = scales.group_code.decode(scales.group_codes[row * groups + g]);
    energy += scale * scale / static_cast<double>(groups);
  }
  const double whole = scales.tensor_scale;
  return groups > 0 ? energy : whole * whole;
}

}  // namespace

void ExpectedRows::add(const ExpectedRows& other) {
  bytes += other.bytes;
  signal += other.signal;
  error += other.error;
}

ExpectedRows expected_rows(const FittedTensor& tensor, uint64_t matrix, RowSpan rows, double log2_step,
                           bool flat_rate) {
  const MatrixScales& scales = tensor.scales[matrix];
  const double columns = column_energy(scales), step = portable_exp2(log2_step);
  const auto cols = static_cast<double>(scales.cols);
  ExpectedRows expected;
  for (uint64_t row = rows.first; row < rows.first + rows.count; ++row) {
    const double rms = scales.row_rms.empty() ? 1.0 : std::max<double>(scales.row_rms[row], kLeastRms);
    const double energy = row_scale_energy(scales, row) * columns;
    expected.bytes += flat_rate ? cols : cols * gaussian_bits(log2_step - portable_log2(rms)) / 8;
    const double weight = scales.weight_rms.empty() ? 0 : scales.weight_rms[row];
    expected.signal += scales.weight_rms.empty() ? energy * rms * rms : cols * weight * weight;
    // What is far below the step is coded as zero.
    expected.error += energy * std::min(step * step / 12, rms * rms);
  }
  return expected;
}

}  // namespace llmcodec
