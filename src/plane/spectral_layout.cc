// SPDX-License-Identifier: BSD-3-Clause
#include "plane/spectral_layout.h"

#include <algorithm>

#include "base/checked_math.h"

namespace llmcodec {
namespace {

// Calls visit(coefficient, row, column, sign) for every weight of one strip; row counts from the picture's
// first row.
template <class Visit>
void for_each_coefficient(const SpectralLayout& layout, uint64_t picture, uint32_t strip,
                          std::span<const uint32_t> order, Visit visit) {
  const PictureRect rect = layout.picture(picture);
  const uint64_t first_input = uint64_t{strip} * kStripInputs;
  const uint64_t inputs =
      first_input < rect.cols ? std::min<uint64_t>(kStripInputs, rect.cols - first_input) : 0;
  const uint64_t m = layout.outputs_per_block;
  for (uint64_t block = 0; block * m < rect.rows; ++block) {
    const uint64_t outputs = std::min(m, rect.rows - block * m);
    for (uint64_t i = 0; i < inputs; ++i) {
      const uint64_t coded = rect.first_col + first_input + i;
      const uint64_t column = order.empty() ? coded : order[coded];
      const uint64_t first = block * layout.block_coefficients() + i * m;
      for (uint64_t o = 0; o < outputs; ++o)
        visit(first + o, block * m + o, column, kSpectralSigns[i * m + o]);
    }
  }
}

constexpr std::array<int8_t, kMaxSpectralWeights> maximum_length_signs() {
  constexpr std::array<bool, 10> kStart = {true, false, true, true, false, true, false, false, true, true};
  std::array<bool, kMaxSpectralWeights> bits{};
  std::array<int8_t, kMaxSpectralWeights> signs{};
  for (size_t k = 0; k < bits.size(); ++k) {
    bits[k] = k < kStart.size() ? kStart[k] : bits[k - 3] != bits[k - 10];
    signs[k] = bits[k] ? -1 : 1;
  }
  return signs;
}

}  // namespace

const std::array<int8_t, kMaxSpectralWeights> kSpectralSigns = maximum_length_signs();

Result<SpectralLayout> SpectralLayout::make(uint64_t rows, uint64_t cols, uint32_t outputs_per_block,
                                            uint64_t target) {
  if (rows == 0 || cols == 0 || target == 0 || outputs_per_block == 0 ||
      outputs_per_block > kMaxOutputsPerBlock) {
    return error(ErrorKind::kInvalidArgument,
                 "no spectral pictures for a {} x {} matrix with {} weights each and {} outputs per block",
                 rows, cols, target, outputs_per_block);
  }
  const uint64_t all_strips = ceil_div(cols, kStripInputs);
  const uint64_t strips = ceil_div(all_strips, ceil_div(all_strips, kMaxPictureBlocks));
  const uint64_t groups = ceil_div(rows, outputs_per_block);
  const uint64_t group_weights = strips * kStripInputs * outputs_per_block;
  const auto weights = checked_mul(groups, group_weights);
  if (!weights) return error(ErrorKind::kLimit, "a matrix of {} x {} weights is too large", rows, cols);
  const uint64_t wanted = *weights / target + (*weights % target >= ceil_div(target, 2));
  const uint64_t cuts =
      std::max({uint64_t{1}, std::min(wanted, groups), ceil_div(groups, kMaxPictureBlocks)});
  return restore(rows, cols, outputs_per_block, static_cast<uint32_t>(ceil_div(groups, cuts)),
                 static_cast<uint32_t>(strips));
}

Result<SpectralLayout> SpectralLayout::restore(uint64_t rows, uint64_t cols, uint32_t outputs_per_block,
                                               uint32_t blocks_x, uint32_t strips) {
  const bool blocks_ok =
      blocks_x >= 1 && blocks_x <= kMaxPictureBlocks && strips >= 1 && strips <= kMaxPictureBlocks;
  if (rows == 0 || cols == 0 || outputs_per_block == 0 || outputs_per_block > kMaxOutputsPerBlock ||
      !blocks_ok) {
    return error(ErrorKind::kCorrupt, "{} x {} blocks of {} outputs for a {} x {} matrix", blocks_x, strips,
                 outputs_per_block, rows, cols);
  }
  SpectralLayout layout{rows, cols, outputs_per_block, blocks_x, strips, 0, 0};
  layout.row_cuts = ceil_div(rows, uint64_t{blocks_x} * outputs_per_block);
  layout.col_cuts = ceil_div(cols, uint64_t{strips} * kStripInputs);
  return layout;
}

PictureRect SpectralLayout::picture(uint64_t index) const {
  const uint64_t picture_rows = uint64_t{blocks_x} * outputs_per_block;
  const uint64_t picture_cols = uint64_t{strips} * kStripInputs;
  PictureRect rect;
  rect.first_row = index % row_cuts * picture_rows;
  rect.rows = std::min(picture_rows, rows - rect.first_row);
  rect.first_col = index / row_cuts * picture_cols;
  rect.cols = std::min(picture_cols, cols - rect.first_col);
  return rect;
}

CutRange SpectralLayout::cuts_of_rows(uint64_t first_row, uint64_t count) const {
  const uint64_t picture_rows = uint64_t{blocks_x} * outputs_per_block;
  const uint64_t first = first_row / picture_rows;
  return {first, (first_row + count - 1) / picture_rows + 1 - first};
}

template <class T>
void gather_strip(const SpectralLayout& layout, uint64_t picture, uint32_t strip,
                  MatrixView<const T> matrix_rows, std::span<const uint32_t> order,
                  std::span<T> coefficients) {
  std::fill(coefficients.begin(), coefficients.end(), T{0});
  for_each_coefficient(layout, picture, strip, order,
                       [&](uint64_t index, uint64_t row, uint64_t column, T sign) {
                         coefficients[index] = matrix_rows.at(row, column) * sign;
                       });
}

template <class T>
void scatter_strip(const SpectralLayout& layout, uint64_t picture, uint32_t strip,
                   std::span<const T> coefficients, std::span<const uint32_t> order,
                   MatrixView<T> matrix_rows) {
  for_each_coefficient(layout, picture, strip, order,
                       [&](uint64_t index, uint64_t row, uint64_t column, T sign) {
                         matrix_rows.at(row, column) = coefficients[index] * sign;
                       });
}

template <class T>
void gather_picture(const SpectralLayout& layout, uint64_t picture, MatrixView<const T> matrix_rows,
                    std::span<const uint32_t> order, std::span<T> coefficients) {
  const uint64_t count = layout.strip_coefficients();
  for (uint32_t strip = 0; strip < layout.strips; ++strip) {
    gather_strip<T>(layout, picture, strip, matrix_rows, order, coefficients.subspan(strip * count, count));
  }
}

template <class T>
void scatter_picture(const SpectralLayout& layout, uint64_t picture, std::span<const T> coefficients,
                     std::span<const uint32_t> order, MatrixView<T> matrix_rows) {
  const uint64_t count = layout.strip_coefficients();
  for (uint32_t strip = 0; strip < layout.strips; ++strip) {
    scatter_strip<T>(layout, picture, strip, coefficients.subspan(strip * count, count), order, matrix_rows);
  }
}

#define LLMC_INSTANTIATE_SPECTRAL(T)                                                            \
  template void gather_strip<T>(const SpectralLayout&, uint64_t, uint32_t, MatrixView<const T>, \
                                std::span<const uint32_t>, std::span<T>);                       \
  template void scatter_strip<T>(const SpectralLayout&, uint64_t, uint32_t, std::span<const T>, \
                                 std::span<const uint32_t>, MatrixView<T>);                     \
  template void gather_picture<T>(const SpectralLayout&, uint64_t, MatrixView<const T>,         \
                                  std::span<const uint32_t>, std::span<T>);                     \
  template void scatter_picture<T>(const SpectralLayout&, uint64_t, std::span<const T>,         \
                                   std::span<const uint32_t>, MatrixView<T>);
LLMC_INSTANTIATE_SPECTRAL(float)
LLMC_INSTANTIATE_SPECTRAL(int32_t)
#undef LLMC_INSTANTIATE_SPECTRAL

}  // namespace llmcodec
