// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/picture/transform.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>

namespace llmcodec::vvc {
namespace {

// 64 * sqrt(2) * cos(pi * j / 128), j = 0..63, as the standard rounds it (8.7.4.3). Entries 32 (of every
// size) come out as 64; entry 0 is only used for row 0, where it is 64.
constexpr std::array<int8_t, 64> kCosine = {
    64, 91, 90, 90, 90, 90, 90, 90, 89, 88, 88, 87, 87, 86, 85, 84,  //
    83, 83, 82, 81, 80, 79, 78, 77, 75, 73, 73, 71, 70, 69, 67, 65,  //
    64, 62, 61, 59, 57, 56, 54, 52, 50, 48, 46, 44, 43, 41, 38, 37,  //
    36, 33, 31, 28, 25, 24, 22, 20, 18, 15, 13, 11, 9,  7,  4,  2,
};

// kCosine continued to any angle by symmetry: cos(pi * j / 128) with period 256.
constexpr int cosine(int j) {
  j &= 255;
  if (j > 128) j = 256 - j;
  return j < 64 ? kCosine[j] : j == 64 ? 0 : -kCosine[128 - j];
}

constexpr int matrix_entry(int k, int n) {
  return k == 0 ? 64 : cosine((2 * n + 1) * k);
}

// The odd rows of the N-point matrix, left half: the part that the even-odd decomposition does not halve
// again. Odd rows of the N-point transform are rows (64 / N) * (1, 3, 5, ...) of the 64-point one.
template <int N>
constexpr auto make_odd_rows() {
  std::array<std::array<int16_t, N / 2>, N / 2> rows{};
  for (int k = 0; k < N / 2; ++k)
    for (int n = 0; n < N / 2; ++n)
      rows[k][n] = static_cast<int16_t>(cosine((2 * n + 1) * (2 * k + 1) * (64 / N)));
  return rows;
}
template <int N>
constexpr auto kOddRows = make_odd_rows<N>();

// Columns are transformed in batches, so that the compiler can use vector instructions.
constexpr int kLanes = 8;

template <class T>
using Batch = T[kLanes];

// Where odd coefficient 2k + 1 stands among those of the full transform.
constexpr ptrdiff_t row_of(int k, int step) {
  return ptrdiff_t{2 * k + 1} * step;
}

// N-point inverse of each lane. Input coefficient k is in[k * step]; those from `count` on are zero and not
// read. Inputs are 16 bits wide on purpose: the widening multiply is the one that every vector unit has.
template <int N>
void inverse_1d(const Batch<int16_t>* in, int step, int count, Batch<int32_t>* out) {
  if constexpr (N == 1) {
    for (int lane = 0; lane < kLanes; ++lane) out[0][lane] = 64 * in[0][lane];
  } else {
    Batch<int32_t> even[N / 2];
    inverse_1d<N / 2>(in, 2 * step, (count + 1) / 2, even);
    Batch<int32_t> odd[N / 2] = {};
    for (int k = 0; 2 * k + 1 < count; ++k) {
      const int16_t* coefficient = in[row_of(k, step)];
      for (int n = 0; n < N / 2; ++n) {
        const int16_t weight = kOddRows<N>[k][n];
        for (int lane = 0; lane < kLanes; ++lane) odd[n][lane] += int32_t{weight} * coefficient[lane];
      }
    }
    for (int n = 0; n < N / 2; ++n) {
      for (int lane = 0; lane < kLanes; ++lane) {
        out[n][lane] = even[n][lane] + odd[n][lane];
        out[N - 1 - n][lane] = even[n][lane] - odd[n][lane];
      }
    }
  }
}

// N-point forward transform of each lane: coefficient k goes to out[k * step].
template <int N, class T>
void forward_1d(const Batch<T>* in, int step, Batch<T>* out) {
  if constexpr (N == 1) {
    for (int lane = 0; lane < kLanes; ++lane) out[0][lane] = 64 * in[0][lane];
  } else {
    Batch<T> sums[N / 2], differences[N / 2];
    for (int n = 0; n < N / 2; ++n) {
      for (int lane = 0; lane < kLanes; ++lane) {
        sums[n][lane] = in[n][lane] + in[N - 1 - n][lane];
        differences[n][lane] = in[n][lane] - in[N - 1 - n][lane];
      }
    }
    forward_1d<N / 2>(sums, 2 * step, out);
    for (int k = 0; k < N / 2; ++k) {
      Batch<T> sum = {};
      for (int n = 0; n < N / 2; ++n) {
        const T weight = static_cast<T>(kOddRows<N>[k][n]);
        for (int lane = 0; lane < kLanes; ++lane) sum[lane] += weight * differences[n][lane];
      }
      std::copy(sum, sum + kLanes, out[row_of(k, step)]);
    }
  }
}

void inverse_any(int log2_size, const Batch<int16_t>* in, int count, Batch<int32_t>* out) {
  switch (log2_size) {
    case 2:
      return inverse_1d<4>(in, 1, count, out);
    case 3:
      return inverse_1d<8>(in, 1, count, out);
    case 4:
      return inverse_1d<16>(in, 1, count, out);
    case 5:
      return inverse_1d<32>(in, 1, count, out);
    default:
      return inverse_1d<64>(in, 1, count, out);
  }
}

void forward_any(int log2_size, const Batch<float>* in, Batch<float>* out) {
  switch (log2_size) {
    case 2:
      return forward_1d<4>(in, 1, out);
    case 3:
      return forward_1d<8>(in, 1, out);
    case 4:
      return forward_1d<16>(in, 1, out);
    case 5:
      return forward_1d<32>(in, 1, out);
    default:
      return forward_1d<64>(in, 1, out);
  }
}

}  // namespace

int dct_coefficient(int k, int n) {
  return matrix_entry(k, n);
}

// H.266 (V3, 09/2023) 8.7.4.1 Transformation process for scaled transform coefficients
void inverse_dct(const int32_t* coefficients, const TransformSize& size, int bit_depth, int16_t* residual) {
  const int width = 1 << size.log2_width, height = 1 << size.log2_height;
  alignas(32) Batch<int16_t> in[64];
  alignas(32) Batch<int32_t> out[64];
  // After the first stage, transposed: for each batch of rows the coefficients along x.
  alignas(32) Batch<int16_t> middle[64 / kLanes][32];
  for (int x = 0; x < size.columns; x += kLanes) {
    const int lanes = std::min(kLanes, size.columns - x);
    for (int y = 0; y < size.rows; ++y) {
      std::fill(in[y] + lanes, in[y] + kLanes, int16_t{0});
      for (int lane = 0; lane < lanes; ++lane)
        in[y][lane] = static_cast<int16_t>(coefficients[y * width + x + lane]);
    }
    inverse_any(size.log2_height, in, size.rows, out);
    for (int y = 0; y < height; ++y) {
      for (int lane = 0; lane < lanes; ++lane)
        middle[y / kLanes][x + lane][y % kLanes] =
            static_cast<int16_t>(std::clamp((out[y][lane] + 64) >> 7, -32768, 32767));
    }
  }
  if (height < kLanes) {
    for (int x = 0; x < size.columns; ++x)
      std::fill(middle[0][x] + height, middle[0][x] + kLanes, int16_t{0});
  }
  const int shift = 20 - bit_depth;
  const int rounding = 1 << (shift - 1);
  for (int y = 0; y < height; y += kLanes) {
    const int lanes = std::min(kLanes, height - y);
    inverse_any(size.log2_width, middle[y / kLanes], size.columns, out);
    for (int x = 0; x < width; ++x) {
      for (int lane = 0; lane < lanes; ++lane)
        residual[(y + lane) * width + x] =
            static_cast<int16_t>(std::clamp((out[x][lane] + rounding) >> shift, -32768, 32767));
    }
  }
}

void forward_dct(const int16_t* residual, int log2_width, int log2_height, float* coefficients) {
  const int width = 1 << log2_width, height = 1 << log2_height;
  alignas(32) Batch<float> in[64], out[64];
  alignas(32) Batch<float> middle[64 / kLanes][64];
  for (int x = 0; x < width; x += kLanes) {
    const int lanes = std::min(kLanes, width - x);
    for (int y = 0; y < height; ++y) {
      for (int lane = 0; lane < kLanes; ++lane)
        in[y][lane] = lane < lanes ? residual[y * width + x + lane] : 0;
    }
    forward_any(log2_height, in, out);
    for (int y = 0; y < height; ++y)
      for (int lane = 0; lane < lanes; ++lane) middle[y / kLanes][x + lane][y % kLanes] = out[y][lane];
  }
  if (height < kLanes) {
    for (int x = 0; x < width; ++x) std::fill(middle[0][x] + height, middle[0][x] + kLanes, 0.0f);
  }
  // The matrix has norm 64 * sqrt(N); sqrt is rounded exactly everywhere.
  const float scale = 1.0f / (4096.0f * std::sqrt(static_cast<float>(width * height)));
  for (int y = 0; y < height; y += kLanes) {
    const int lanes = std::min(kLanes, height - y);
    forward_any(log2_width, middle[y / kLanes], out);
    for (int x = 0; x < width; ++x)
      for (int lane = 0; lane < lanes; ++lane) coefficients[(y + lane) * width + x] = out[x][lane] * scale;
  }
}

}  // namespace llmcodec::vvc
