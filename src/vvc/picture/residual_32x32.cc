// SPDX-License-Identifier: BSD-3-Clause
// How the inverse transform uses vectors. Every output is a sum over 32 coefficients; rows k of the matrix
// are symmetric (even k) or antisymmetric (odd k), so outputs n and 31 - n are the sum and the difference of
// a sum over even k and one over odd k. x86 multiplies 16-bit pairs and adds the two products in one
// instruction: so coefficients are laid out in pairs (4j, 4j + 2) and (4j + 1, 4j + 3), along both axes, when
// they are scattered from scan order.
#include "vvc/picture/residual_32x32.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vvc/picture/residual_32x32.cc"
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <cstring>

#include "vvc/picture/transform.h"
#include "vvc/residual/scan.h"

#ifndef LLMCODEC_RESIDUAL_32X32_ONCE
#define LLMCODEC_RESIDUAL_32X32_ONCE
namespace llmcodec::vvc {

constexpr int kBlockSide = 32;

// Pairs 0-7 are of even rows, 8-15 of odd ones.
constexpr int pair_of(int k) {
  return (k & 1) * 8 + (k >> 2);
}
constexpr int slot_of(int k) {
  return k >> 1 & 1;
}

// Coefficients by [pair of rows][column, even ones first][slot].
struct PairedBlock {
  alignas(64) int16_t at[16][kBlockSide][2];
};

// The matrix by [pair of rows][output 0..15][slot].
struct PairedMatrix {
  alignas(64) int16_t at[16][16][2];
  PairedMatrix() {
    for (int k = 0; k < kBlockSide; ++k)
      for (int n = 0; n < 16; ++n)
        at[pair_of(k)][n][slot_of(k)] = static_cast<int16_t>(dct_coefficient(2 * k, n));
  }
};

}  // namespace llmcodec::vvc
#endif

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
namespace hn = hwy::HWY_NAMESPACE;
using D = hn::CappedTag<int32_t, 16>;
using D16 = hn::Repartition<int16_t, D>;
using DHalf = hn::Rebind<int16_t, D>;
using V = hn::Vec<D>;
constexpr D d;
constexpr D16 d16;
constexpr DHalf d_half;
constexpr int kN = static_cast<int>(hn::MaxLanes(D()));

HWY_INLINE V multiply_pairs(const int16_t* pairs, hn::Vec<D16> factor, V sum) {
  V unused = hn::Zero(d);
  return hn::ReorderWidenMulAccumulate(d, hn::Load(d16, pairs), factor, sum, unused);
}

HWY_INLINE hn::Vec<D16> same_pair(const int16_t* pair) {
  int32_t both;
  std::memcpy(&both, pair, sizeof both);
  return hn::BitCast(d16, hn::Set(d, both));
}

// Columns: lanes are columns.
HWY_INLINE void transform_columns(const PairedBlock& in, const PairedMatrix& matrix,
                                  int16_t (*out)[kBlockSide]) {
  for (int x = 0; x < kBlockSide; x += kN) {
    for (int y = 0; y < 16; ++y) {
      V even = hn::Set(d, 64), odd = hn::Zero(d);
      for (int pair = 0; pair < 8; ++pair) {
        even = multiply_pairs(in.at[pair][x], same_pair(matrix.at[pair][y]), even);
        odd = multiply_pairs(in.at[8 + pair][x], same_pair(matrix.at[8 + pair][y]), odd);
      }
      hn::Store(hn::DemoteTo(d_half, hn::ShiftRight<7>(even + odd)), d_half, &out[y][x]);
      hn::Store(hn::DemoteTo(d_half, hn::ShiftRight<7>(even - odd)), d_half, &out[31 - y][x]);
    }
  }
}

// One row: lanes are outputs.
template <int kShift>
HWY_INLINE void transform_row(const int16_t* in, const PairedMatrix& matrix, int16_t* out) {
  for (int n = 0; n < 16; n += kN) {
    V even = hn::Set(d, 1 << (kShift - 1)), odd = hn::Zero(d);
    for (int pair = 0; pair < 8; ++pair) {
      even = multiply_pairs(matrix.at[pair][n], same_pair(in + 2 * pair), even);
      odd = multiply_pairs(matrix.at[8 + pair][n], same_pair(in + 16 + 2 * pair), odd);
    }
    hn::Store(hn::DemoteTo(d_half, hn::ShiftRight<kShift>(even + odd)), d_half, out + n);
    const auto mirrored = hn::DemoteTo(d_half, hn::ShiftRight<kShift>(even - odd));
    hn::Store(hn::Reverse(d_half, mirrored), d_half, out + 32 - kN - n);
  }
}

bool transform_pairs(const PairedBlock& in, int bit_depth, int16_t* residual) {
  static const PairedMatrix kMatrix;
  alignas(64) int16_t middle[kBlockSide][kBlockSide];
  transform_columns(in, kMatrix, middle);
  for (int y = 0; y < kBlockSide; ++y) {
    if (bit_depth == 10)
      transform_row<10>(middle[y], kMatrix, residual + y * kBlockSide);
    else
      transform_row<12>(middle[y], kMatrix, residual + y * kBlockSide);
  }
  return true;
}
#else
bool transform_pairs(const PairedBlock&, int, int16_t*) {
  return false;
}
#endif
}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace llmcodec::vvc {
namespace {

void transform_plainly(const PairedBlock& in, int bit_depth, int16_t* residual) {
  int32_t coefficients[kBlockSide * kBlockSide];
  for (int y = 0; y < kBlockSide; ++y)
    for (int x = 0; x < kBlockSide; ++x)
      coefficients[y * kBlockSide + x] = in.at[pair_of(y)][(x & 1) * 16 + x / 2][slot_of(y)];
  inverse_dct(coefficients, {}, bit_depth, residual);
}

}  // namespace

HWY_EXPORT(transform_pairs);

Residual32x32::Residual32x32(const Scaler& scaler, int bit_depth) : scaler_(scaler), bit_depth_(bit_depth) {
  for (int level = -kTable; level < kTable; ++level)
    scaled_[static_cast<size_t>(level + kTable)] = static_cast<int16_t>(scaler(level));
}

void Residual32x32::operator()(const int32_t* levels, int last, int16_t* residual) const {
  PairedBlock block;
  std::memset(&block, 0, sizeof block);
  const ScanOrder& scan = scan_order(5, 5);
  for (int n = 0; n <= last; ++n) {
    const int32_t level = levels[n];
    const int x = scan[n].x, y = scan[n].y;
    const bool is_small = level >= -kTable && level < kTable;
    block.at[pair_of(y)][(x & 1) * 16 + x / 2][slot_of(y)] =
        is_small ? scaled_[static_cast<size_t>(level + kTable)] : static_cast<int16_t>(scaler_(level));
  }
  const bool known_depth = bit_depth_ == 8 || bit_depth_ == 10;
  if (!known_depth || !HWY_DYNAMIC_DISPATCH(transform_pairs)(block, bit_depth_, residual))
    transform_plainly(block, bit_depth_, residual);
}

}  // namespace llmcodec::vvc
#endif
