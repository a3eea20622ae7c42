// SPDX-License-Identifier: BSD-3-Clause
#include "plane/spectral_layout.h"

#include <algorithm>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/wider_vectors.h"

namespace llmcodec {
namespace {

// Weights of one block that are inside the matrix, from input-major to rows and back; 32 inputs are the usual
// number, which compilers unroll.
template <class Move>
LLMC_INLINE void for_each_weight(size_t inputs, size_t outputs, size_t m, Move move) {
  for (size_t o = 0; o < outputs; ++o) {
    if (inputs == kStripInputs) {
      for (size_t i = 0; i < kStripInputs; ++i) move(o, i, i * m + o);
    } else {
      for (size_t i = 0; i < inputs; ++i) move(o, i, i * m + o);
    }
  }
}

LLMC_INLINE size_t inputs_of(size_t strip, size_t cols) {
  const size_t first = strip * kStripInputs;
  return first < cols ? std::min<size_t>(kStripInputs, cols - first) : 0;
}

template <class T>
LLMC_INLINE void scatter(const SpectralLayout& layout, uint32_t group, std::span<const T> values, float step,
                         MatrixView<float> rows) {
  const size_t m = layout.outputs_per_block, count = layout.block_coefficients();
  std::array<float, kMaxSpectralWeights> u;
  for (size_t strip = 0; strip < layout.strips; ++strip) {
    const T* block = values.data() + strip * layout.strip_coefficients() + group * count;
    for (size_t k = 0; k < count; ++k)
      u[k] = static_cast<float>(block[k] * static_cast<T>(kSpectralSigns[k])) * step;
    float* target = rows.data + strip * kStripInputs;
    for_each_weight(inputs_of(strip, rows.cols), rows.rows, m,
                    [&](size_t o, size_t i, size_t k) { target[o * rows.stride + i] = u[k]; });
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
  const uint64_t blocks_x = ceil_div(groups, cuts);
  return SpectralLayout{.rows = rows,
                        .cols = cols,
                        .outputs_per_block = outputs_per_block,
                        .blocks_x = static_cast<uint32_t>(blocks_x),
                        .strips = static_cast<uint32_t>(strips),
                        .row_cuts = ceil_div(groups, blocks_x),
                        .col_cuts = ceil_div(all_strips, strips)};
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

LLMC_WIDER_VECTORS
void gather_group(const SpectralLayout& layout, uint32_t group, MatrixView<const float> rows,
                  std::span<float> coefficients) {
  const size_t m = layout.outputs_per_block, count = layout.block_coefficients();
  for (size_t strip = 0; strip < layout.strips; ++strip) {
    float* block = coefficients.data() + strip * layout.strip_coefficients() + group * count;
    const float* source = rows.data + strip * kStripInputs;
    for_each_weight(inputs_of(strip, rows.cols), rows.rows, m,
                    [&](size_t o, size_t i, size_t k) { block[k] = source[o * rows.stride + i]; });
    for (size_t k = 0; k < count; ++k) block[k] *= static_cast<float>(kSpectralSigns[k]);
  }
}

LLMC_WIDER_VECTORS
void scatter_group(const SpectralLayout& layout, uint32_t group, std::span<const int32_t> indices, float step,
                   MatrixView<float> rows) {
  scatter(layout, group, indices, step, rows);
}

LLMC_WIDER_VECTORS
void scatter_group(const SpectralLayout& layout, uint32_t group, std::span<const float> coefficients,
                   float step, MatrixView<float> rows) {
  scatter(layout, group, coefficients, step, rows);
}

void gather_picture(const SpectralLayout& layout, MatrixView<const float> rows,
                    std::span<float> coefficients) {
  const uint64_t m = layout.outputs_per_block;
  for (uint64_t first = 0; first < rows.rows; first += m)
    gather_group(layout, static_cast<uint32_t>(first / m),
                 rows.block(first, 0, std::min(m, rows.rows - first), rows.cols), coefficients);
}

}  // namespace llmcodec
