// SPDX-License-Identifier: BSD-3-Clause
// As in residual_32x32.cc, for blocks of any sides from 8 on: rows k of the matrix are symmetric or
// antisymmetric, so outputs n and N - 1 - n are sum and difference of a sum over even k and one over odd k;
// and one instruction adds the products of a pair of 16-bit numbers. Four coefficients 4j .. 4j + 3 are one
// even pair (4j, 4j + 2) and one odd pair.
#include "vvc/picture/add_residual.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vvc/picture/add_residual.cc"
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>
#include <cstring>

#ifndef LLMCODEC_ADD_RESIDUAL_ONCE
#define LLMCODEC_ADD_RESIDUAL_ONCE
namespace llmcodec::vvc {

constexpr int kMostCoded = 32;  // rows and columns of coefficients

// One N-point matrix by [four rows][even or odd pair][output 0 .. N / 2 - 1][slot].
struct PairedRows {
  alignas(64) int16_t at[kMostCoded / 4][2][32][2];
  explicit PairedRows(int log2_size) {
    const int size = 1 << log2_size;
    std::memset(at, 0, sizeof at);
    for (int k = 0; k < std::min(size, kMostCoded); ++k)
      for (int n = 0; n < size / 2; ++n)
        at[k / 4][k & 1][n][k >> 1 & 1] = static_cast<int16_t>(dct_coefficient(k << (6 - log2_size), n));
  }
};

}  // namespace llmcodec::vvc
#endif

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
#if HWY_ARCH_X86 && HWY_TARGET != HWY_SCALAR
namespace {
namespace hn = hwy::HWY_NAMESPACE;

const PairedRows& paired_rows(int log2_size) {
  static const PairedRows kRows[] = {PairedRows(3), PairedRows(4), PairedRows(5), PairedRows(6)};
  return kRows[log2_size - 3];
}

// Lanes: kMost 32-bit numbers at most.
template <size_t kMost>
class ResidualAdder {
  using D = hn::CappedTag<int32_t, kMost>;
  using D16 = hn::Repartition<int16_t, D>;
  using DHalf = hn::Rebind<int16_t, D>;
  using V = hn::Vec<D>;
  static constexpr D d{};
  static constexpr D16 d16{};
  static constexpr DHalf d_half{};
  static constexpr int kN = static_cast<int>(hn::MaxLanes(D()));

 public:
  ResidualAdder(const Scaler& scaler, const LevelBlock& block)
      : scaler_(scaler),
        block_(block),
        width_(1 << block.size.log2_width),
        height_(1 << block.size.log2_height) {}

  void scale() {
    const V factor = hn::Set(d, scaler_.factor()), offset = hn::Set(d, scaler_.offset());
    const V limit = hn::Set(d, scaler_.limit()), low = hn::Set(d, 0xffff);
    const auto scaled = [&](const int32_t* from) HWY_ATTR {
      const V level = hn::Min(hn::Max(hn::LoadU(d, from), hn::Neg(limit)), limit);
      const V value = hn::ShiftRightSame(level * factor + offset, scaler_.shift());
      return hn::Min(hn::Max(value, hn::Set(d, -32768)), hn::Set(d, 32767));
    };
    for (int j = 0; j < block_.size.rows / 4; ++j) {
      for (int x = 0; x < block_.size.columns; x += kN) {
        const int32_t* from = block_.levels + 4 * j * width_ + x;
        const V row0 = scaled(from), row1 = scaled(from + width_), row2 = scaled(from + 2 * width_),
                row3 = scaled(from + 3 * width_);
        hn::Store(in_pairs(hn::Or(hn::And(row0, low), hn::ShiftLeft<16>(row2))), d, in_[j][0] + x);
        hn::Store(in_pairs(hn::Or(hn::And(row1, low), hn::ShiftLeft<16>(row3))), d, in_[j][1] + x);
      }
    }
  }

  // Lanes are columns.
  void columns() {
    const PairedRows& matrix = paired_rows(block_.size.log2_height);
    const int fours = block_.size.rows / 4;
    for (int x = 0; x < block_.size.columns; x += kN) {
      for (int y = 0; y < height_ / 2; y += 2) {
        V even0 = hn::Set(d, 64), even1 = even0, odd0 = hn::Zero(d), odd1 = odd0;
        for (int j = 0; j < fours; ++j) {
          const V even = hn::Load(d, in_[j][0] + x), odd = hn::Load(d, in_[j][1] + x);
          even0 = multiply_pairs(even, same_pair(matrix.at[j][0][y]), even0);
          odd0 = multiply_pairs(odd, same_pair(matrix.at[j][1][y]), odd0);
          even1 = multiply_pairs(even, same_pair(matrix.at[j][0][y + 1]), even1);
          odd1 = multiply_pairs(odd, same_pair(matrix.at[j][1][y + 1]), odd1);
        }
        put_column(even0 + odd0, y, x), put_column(even0 - odd0, height_ - 1 - y, x);
        put_column(even1 + odd1, y + 1, x), put_column(even1 - odd1, height_ - 2 - y, x);
      }
    }
  }

  // Lanes are outputs, half a row of them.
  void rows(MutablePlaneView samples) {
    const PairedRows& matrix = paired_rows(block_.size.log2_width);
    const int fours = block_.size.columns / 4, shift = 20 - block_.bit_depth;
    const V rounding = hn::Set(d, 1 << (shift - 1));
    for (int n = 0; n < width_ / 2; n += kN) {
      for (int y = 0; y < height_; y += 2) {
        V even0 = rounding, even1 = rounding, odd0 = hn::Zero(d), odd1 = odd0;
        for (int j = 0; j < fours; ++j) {
          const V even = hn::Load(d, as_pairs(matrix.at[j][0][n])),
                  odd = hn::Load(d, as_pairs(matrix.at[j][1][n]));
          even0 = multiply_pairs(even, same_pair(middle_[y] + 4 * j), even0);
          odd0 = multiply_pairs(odd, same_pair(middle_[y] + 4 * j + 2), odd0);
          even1 = multiply_pairs(even, same_pair(middle_[y + 1] + 4 * j), even1);
          odd1 = multiply_pairs(odd, same_pair(middle_[y + 1] + 4 * j + 2), odd1);
        }
        const auto put = [&](V even, V odd, int row) HWY_ATTR {
          uint16_t* to = samples.row(static_cast<size_t>(row)).data();
          add(hn::DemoteTo(d_half, hn::ShiftRightSame(even + odd, shift)), to + n);
          add(hn::Reverse(d_half, hn::DemoteTo(d_half, hn::ShiftRightSame(even - odd, shift))),
              to + width_ - kN - n);
        };
        put(even0, odd0, y);
        put(even1, odd1, y + 1);
      }
    }
  }

 private:
  static HWY_INLINE V multiply_pairs(V a, V b, V sum) {
    V unused = hn::Zero(d);
    return hn::ReorderWidenMulAccumulate(d, hn::BitCast(d16, a), hn::BitCast(d16, b), sum, unused);
  }
  static HWY_INLINE V same_pair(const int16_t* pair) {
    int32_t both;
    std::memcpy(&both, pair, sizeof both);
    return hn::Set(d, both);
  }
  // Of four columns the even ones first.
  static HWY_INLINE V in_pairs(V columns) {
    alignas(16) static constexpr uint8_t kOrder[16] = {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15};
    const hn::Repartition<uint8_t, D> d8;
    return hn::BitCast(d, hn::TableLookupBytes(hn::BitCast(d8, columns), hn::LoadDup128(d8, kOrder)));
  }
  static const int32_t* as_pairs(const int16_t* pairs) { return reinterpret_cast<const int32_t*>(pairs); }

  HWY_INLINE void put_column(V sum, int y, int x) {
    const auto row = hn::DemoteTo(d_half, hn::ShiftRight<7>(sum));
    hn::Store(row, d_half, middle_[y] + x);
  }
  HWY_INLINE void add(hn::Vec<DHalf> residual, uint16_t* to) {
    const hn::Rebind<uint16_t, D> du;
    const auto prediction = hn::BitCast(d_half, hn::LoadU(du, to));
    const auto sum = hn::SaturatedAdd(prediction, residual);
    const auto most = hn::Set(d_half, static_cast<int16_t>((1 << block_.bit_depth) - 1));
    hn::StoreU(hn::BitCast(du, hn::Min(hn::Max(sum, hn::Zero(d_half)), most)), du, to);
  }

  const Scaler& scaler_;
  const LevelBlock& block_;
  const int width_, height_;
  alignas(64) int32_t in_[kMostCoded / 4][2][kMostCoded];  // pairs of coefficients of a column
  alignas(64) int16_t middle_[64][kMostCoded];
};

template <size_t kMost>
void add_with(const Scaler& scaler, const LevelBlock& block, MutablePlaneView samples) {
  ResidualAdder<kMost> adder(scaler, block);
  adder.scale();
  adder.columns();
  adder.rows(samples);
}

}  // namespace

bool add_here(const Scaler& scaler, const LevelBlock& block, MutablePlaneView samples) {
  if (block.size.log2_width < 3 || block.size.log2_height < 3) return false;
  if (block.size.log2_width == 3) {
    add_with<4>(scaler, block, samples);
  } else if (block.size.log2_width == 4) {
    add_with<8>(scaler, block, samples);
  } else {
    add_with<16>(scaler, block, samples);
  }
  return true;
}
#else
bool add_here(const Scaler&, const LevelBlock&, MutablePlaneView) {
  return false;
}
#endif
}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace llmcodec::vvc {

HWY_EXPORT(add_here);

bool add_block_residual(const Scaler& scaler, const LevelBlock& block, MutablePlaneView samples) {
  return HWY_DYNAMIC_DISPATCH(add_here)(scaler, block, samples);
}

}  // namespace llmcodec::vvc
#endif
