// SPDX-License-Identifier: BSD-3-Clause
#include "scheme/written_back.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/checked_math.h"
#include "base/error.h"

namespace llmcodec {
namespace {

constexpr float kLargestCode = 448;
constexpr uint64_t kBytesPerWeight = 2;  // BF16

// The power of two that is at least `scale`, as E8M0 (2^(code - 127)).
uint8_t exponent_code(float scale) {
  const uint32_t bits = std::bit_cast<uint32_t>(scale);
  return static_cast<uint8_t>((bits >> 23) + ((bits & 0x7fffff) != 0 ? 1 : 0));
}

// Where the scales of a tensor's rows and columns are.
struct BlockGrid {
  uint64_t matrix_rows = 1, rows_of_matrix = 1;  // of weights, of scales
  uint64_t block_rows = 1, block_cols = 1, cols = 1;
  bool single = false;

  uint64_t first_of(uint64_t row) const {
    if (single) return 0;
    return (row / matrix_rows * rows_of_matrix + row % matrix_rows / block_rows) * cols;
  }
};

BlockGrid grid_of(const BlockScales& format, const std::vector<uint64_t>& shape,
                  const std::array<uint64_t, 2>& grid) {
  const uint64_t rows = shape[shape.size() - 2];
  const bool single = grid[0] == 1 && grid[1] == 1;
  return {rows,
          ceil_div(rows, format.block_rows),
          format.block_rows,
          single ? shape.back() : format.block_cols,
          grid[1],
          single};
}

// The scale that a dtype holds, with which the codes are made; never 0, or the block would be lost.
Status store_scale(Dtype dtype, float* scale, std::span<std::byte> out) {
  if (dtype == Dtype::kF8E8M0) {
    const uint8_t code = std::clamp<uint8_t>(exponent_code(*scale), 1, 254);
    out[0] = static_cast<std::byte>(code);
    *scale = std::bit_cast<float>(static_cast<uint32_t>(code) << 23);
    return Status::ok();
  }
  LLMC_RETURN_IF_ERROR(from_f32(dtype, {scale, 1}, out));
  LLMC_RETURN_IF_ERROR(to_f32(dtype, out, {scale, 1}));
  if (*scale > 0 && std::isfinite(*scale)) return Status::ok();
  if (*scale > 0)
    return error(ErrorKind::kInvalidArgument, "weights too large for scales of {}", dtype_info(dtype).name);
  std::ranges::fill(out, std::byte{0});
  out[0] = std::byte{1};  // the smallest positive number
  return to_f32(dtype, out, {scale, 1});
}

class Writer {
 public:
  Writer(const BlockScales& format, const std::vector<uint64_t>& shape, const std::array<uint64_t, 2>& grid,
         std::span<const std::byte> bf16)
      : grid_(grid_of(format, shape, grid)),
        dtype_(format.scale.dtype),
        cols_(shape.back()),
        rows_(cols_ == 0 ? 0 : bf16.size() / kBytesPerWeight / cols_),
        bf16_(bf16),
        scales_(grid[0] * grid[1]),
        row_(cols_) {}

  Result<CodesAndScales> run() {
    for (uint64_t row = 0; row < rows_; ++row) LLMC_RETURN_IF_ERROR(measure(row));
    CodesAndScales written;
    const size_t scale_bytes = dtype_info(dtype_).block_bytes;
    written.scales.resize(scales_.size() * scale_bytes);
    for (size_t i = 0; i < scales_.size(); ++i) {
      scales_[i] = scales_[i] > 0 ? scales_[i] / kLargestCode : 1;
      LLMC_RETURN_IF_ERROR(
          store_scale(dtype_, &scales_[i], std::span(written.scales).subspan(i * scale_bytes, scale_bytes)));
    }
    written.codes.resize(rows_ * cols_);
    for (uint64_t row = 0; row < rows_; ++row)
      LLMC_RETURN_IF_ERROR(encode(row, std::span(written.codes).subspan(row * cols_, cols_)));
    return written;
  }

 private:
  Status read(uint64_t row) {
    return to_f32(Dtype::kBF16, bf16_.subspan(row * cols_ * kBytesPerWeight, cols_ * kBytesPerWeight), row_);
  }

  Status measure(uint64_t row) {
    LLMC_RETURN_IF_ERROR(read(row));
    float* const largest = scales_.data() + grid_.first_of(row);
    for (uint64_t c = 0; c < cols_; ++c) {
      if (!std::isfinite(row_[c]))
        return error(ErrorKind::kInvalidArgument, "{} at row {}, column {}, which no code stands for",
                     row_[c], row, c);
      float& block = largest[c / grid_.block_cols];
      block = std::max(block, std::fabs(row_[c]));
    }
    return Status::ok();
  }

  Status encode(uint64_t row, std::span<std::byte> codes) {
    LLMC_RETURN_IF_ERROR(read(row));
    const float* const scales = scales_.data() + grid_.first_of(row);
    for (uint64_t c = 0; c < cols_; ++c) {
      const float scale = scales[c / grid_.block_cols];
      row_[c] = std::clamp(row_[c] / scale, -kLargestCode, kLargestCode);
    }
    return from_f32(Dtype::kF8E4M3, row_, codes);
  }

  BlockGrid grid_;
  Dtype dtype_;
  uint64_t cols_, rows_;
  std::span<const std::byte> bf16_;
  std::vector<float> scales_;  // first the largest magnitudes
  std::vector<float> row_;
};

}  // namespace

Result<CodesAndScales> write_back_e4m3(const BlockScales& format, const std::vector<uint64_t>& shape,
                                       std::span<const std::byte> bf16) {
  const auto grid = scale_grid(format, shape);
  if (!grid || checked_product(shape).value_or(0) * kBytesPerWeight != bf16.size())
    return error(ErrorKind::kInvalidArgument, "scales do not fit the tensor's shape")
        .in_tensor(format.scale.name);
  return Writer(format, shape, *grid, bf16).run();
}

}  // namespace llmcodec
