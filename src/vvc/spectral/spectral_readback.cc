// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spectral/spectral_readback.h"

#include <array>
#include <cmath>
#include <utility>

#include "vvc/picture/transform.h"
#include "vvc/residual/scan.h"

namespace llmcodec::vvc {
namespace {

constexpr int kSide = 32;
using Matrix = std::array<std::array<double, kSide>, kSide>;

// Gauss-Jordan elimination of [transposed matrix | identity]. Entries are integers up to 90 and the matrix is
// nearly orthogonal, so the result is good to 1e-15.
Matrix inverse_transform_matrix() {
  std::array<std::array<double, 2 * kSide>, kSide> work{};
  for (int n = 0; n < kSide; ++n) {
    for (int k = 0; k < kSide; ++k) work[n][k] = dct_coefficient(2 * k, n);
    work[n][kSide + n] = 1;
  }
  for (int pivot = 0; pivot < kSide; ++pivot) {
    int best = pivot;
    for (int row = pivot + 1; row < kSide; ++row)
      if (std::abs(work[row][pivot]) > std::abs(work[best][pivot])) best = row;
    std::swap(work[pivot], work[best]);
    const double scale = 1 / work[pivot][pivot];
    for (double& value : work[pivot]) value *= scale;
    for (int row = 0; row < kSide; ++row) {
      const double factor = row == pivot ? 0 : work[row][pivot];
      for (int c = 0; c < 2 * kSide; ++c) work[row][c] -= factor * work[pivot][c];
    }
  }
  Matrix inverse;
  for (int k = 0; k < kSide; ++k)
    for (int n = 0; n < kSide; ++n) inverse[k][n] = work[k][kSide + n];
  return inverse;
}

const Matrix& inverse_matrix() {
  static const Matrix kInverse = inverse_transform_matrix();
  return kInverse;
}

}  // namespace

// The two stages of the inverse transform shift by 7 and by 20 - bit_depth.
SpectralReadback::SpectralReadback(double step, int bit_depth)
    : scale_((1 << (27 - bit_depth)) / step), step_(std::ldexp(step, bit_depth - 10)) {}

bool SpectralReadback::is_safe(const int16_t* residual, const int32_t* levels, uint32_t count) const {
  if (step_ < kFineStep) return false;
  uint32_t coded = 0;
  for (uint32_t n = 1; n <= count; ++n) coded += levels[n] != 0;
  if (coded < kBusyLevels) return false;
  int64_t energy = 0;
  for (int i = 0; i < kSide * kSide; ++i) energy += residual[i] * residual[i];
  return energy >= kBusyEnergy * kSide * kSide;
}

void SpectralReadback::find_misread(const int16_t* residual, const int32_t* levels, uint32_t count,
                                    std::vector<uint32_t>& positions) const {
  const Matrix& inverse = inverse_matrix();
  Matrix half{}, full{};  // columns undone, then rows
  for (int k = 0; k < kSide; ++k)
    for (int y = 0; y < kSide; ++y)
      for (int x = 0; x < kSide; ++x) half[k][x] += inverse[k][y] * residual[y * kSide + x];
  Matrix transposed;
  for (int l = 0; l < kSide; ++l)
    for (int x = 0; x < kSide; ++x) transposed[x][l] = inverse[l][x];
  for (int k = 0; k < kSide; ++k)
    for (int x = 0; x < kSide; ++x)
      for (int l = 0; l < kSide; ++l) full[k][l] += half[k][x] * transposed[x][l];
  const ScanOrder& scan = scan_order(5, 5);
  for (uint32_t n = 1; n <= count; ++n) {
    const ScanEntry& place = scan[static_cast<int>(n)];
    if (std::abs(full[place.y][place.x] * scale_ - levels[n]) > kTolerance) positions.push_back(n);
  }
}

}  // namespace llmcodec::vvc
