// SPDX-License-Identifier: BSD-3-Clause
#include "quant/subtract_product.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "quant/subtract_product.cc"
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_RVV | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#endif
// Highway's own order: this header first, then the rest once per target.
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>

#include "quant/fused_multiply_add.h"

HWY_BEFORE_NAMESPACE();
namespace llmcodec::HWY_NAMESPACE {
#if HWY_NATIVE_FMA
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr D d{};
constexpr size_t kVectors = 2, kTileCols = kVectors * hn::MaxLanes(d);
constexpr size_t kTileRows = HWY_CAP_GE512 ? 8 : 4;  // as many sums as registers can hold
constexpr size_t kTileInner = 64;                    // a tile of b stays in the first-level cache

struct TileRow {
  const float* a;
  float* c;
};

// A tile of c in registers. Rows: kTileRows of them.
HWY_INLINE void subtract_tile(const TileRow* rows, size_t a_step, const float* b, size_t b_stride,
                              size_t inner) {
  V sums[kTileRows][kVectors];
  for (size_t r = 0; r < kTileRows; ++r)
    for (size_t v = 0; v < kVectors; ++v) sums[r][v] = hn::LoadU(d, rows[r].c + v * hn::Lanes(d));
  for (size_t p = 0; p < inner; ++p) {
    const V b0 = hn::LoadU(d, b + p * b_stride), b1 = hn::LoadU(d, b + p * b_stride + hn::Lanes(d));
    for (size_t r = 0; r < kTileRows; ++r) {
      const V factor = hn::Set(d, rows[r].a[p * a_step]);
      sums[r][0] = hn::NegMulAdd(factor, b0, sums[r][0]);
      sums[r][1] = hn::NegMulAdd(factor, b1, sums[r][1]);
    }
  }
  for (size_t r = 0; r < kTileRows; ++r)
    for (size_t v = 0; v < kVectors; ++v) hn::StoreU(sums[r][v], d, rows[r].c + v * hn::Lanes(d));
}

// All rows of c, as wide as one tile. `b`: kTileInner rows of it at most.
void subtract_columns(MatrixView<float> c, Coefficients a, MatrixView<const float> b) {
  float nowhere[kTileCols] = {};  // takes the rows that the last tile lacks
  for (size_t first = 0; first < c.rows; first += kTileRows) {
    TileRow rows[kTileRows];
    for (size_t r = 0; r < kTileRows; ++r) {
      const bool exists = first + r < c.rows;
      rows[r] = {a.data + (exists ? first + r : first) * a.row_step, exists ? &c.at(first + r, 0) : nowhere};
    }
    subtract_tile(rows, a.inner_step, b.data, b.stride, b.rows);
  }
}

// The last columns, fewer than a tile has: copied to where there is room for all.
void subtract_narrow(MatrixView<float> c, Coefficients a, MatrixView<const float> b) {
  float wide_b[kTileInner * kTileCols] = {};
  for (size_t p = 0; p < b.rows; ++p) std::copy_n(&b.at(p, 0), b.cols, wide_b + p * kTileCols);
  for (size_t first = 0; first < c.rows; first += kTileRows) {
    const size_t rows = std::min(kTileRows, c.rows - first);
    float wide_c[kTileRows * kTileCols] = {};
    for (size_t r = 0; r < rows; ++r) std::copy_n(&c.at(first + r, 0), c.cols, wide_c + r * kTileCols);
    subtract_columns({wide_c, rows, kTileCols}, {a.data + first * a.row_step, a.row_step, a.inner_step},
                     {wide_b, b.rows, kTileCols});
    for (size_t r = 0; r < rows; ++r) std::copy_n(wide_c + r * kTileCols, c.cols, &c.at(first + r, 0));
  }
}
}  // namespace

void subtract_product_here(MatrixView<float> c, Coefficients a, MatrixView<const float> b) {
  for (size_t p = 0; p < b.rows; p += kTileInner) {
    const Coefficients factors{a.data + p * a.inner_step, a.row_step, a.inner_step};
    const size_t inner = std::min(kTileInner, b.rows - p);
    for (size_t first = 0; first < c.cols; first += kTileCols) {
      const size_t cols = std::min(kTileCols, c.cols - first);
      const auto subtract = cols == kTileCols ? subtract_columns : subtract_narrow;
      subtract(c.block(0, first, c.rows, cols), factors, b.block(p, first, inner, cols));
    }
  }
}
#else
void subtract_product_here(MatrixView<float> c, Coefficients a, MatrixView<const float> b) {
  for (size_t r = 0; r < c.rows; ++r) {
    for (size_t p = 0; p < b.rows; ++p) {
      const float factor = -a.data[r * a.row_step + p * a.inner_step];
      for (size_t j = 0; j < c.cols; ++j) c.at(r, j) = fused_multiply_add(factor, b.at(p, j), c.at(r, j));
    }
  }
}
#endif
}  // namespace llmcodec::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace llmcodec {

HWY_EXPORT(subtract_product_here);

void subtract_product(MatrixView<float> c, Coefficients a, MatrixView<const float> b) {
  HWY_DYNAMIC_DISPATCH(subtract_product_here)(c, a, b);
}

}  // namespace llmcodec
#endif
