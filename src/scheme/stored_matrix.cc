// SPDX-License-Identifier: BSD-3-Clause
#include "scheme/stored_matrix.h"

#include <bit>
#include <limits>

#include "base/error.h"

namespace llmcodec {
namespace {

// E8M0: an exponent with the bias of binary32 and nothing else.
float power_of_two(uint8_t code) {
  if (code == 255) return std::numeric_limits<float>::quiet_NaN();
  if (code == 0) return 0x1p-127f;
  return std::bit_cast<float>(static_cast<uint32_t>(code) << 23);
}

}  // namespace

ValueReader plain_values(const TensorSource& source, size_t tensor) {
  return [&source, tensor](uint64_t first, std::span<float> out) -> Status {
    const Dtype dtype = source.tensors()[tensor].dtype;
    if (dtype_info(dtype).floating) return source.read_f32(tensor, first, out);
    std::vector<uint8_t> codes(out.size());
    LLMC_RETURN_IF_ERROR(source.read(tensor, first, std::as_writable_bytes(std::span(codes))));
    for (size_t i = 0; i < out.size(); ++i)
      out[i] =
          dtype == Dtype::kI8 ? static_cast<float>(static_cast<int8_t>(codes[i])) : power_of_two(codes[i]);
    return Status::ok();
  };
}

Result<GridPart> GridPart::read(const Grid& grid, const Rect& rect) {
  GridPart part;
  part.grid_ = &grid;
  part.first_row_ = grid.row_of(rect.row);
  part.first_col_ = rect.col / grid.col_block;
  part.cols_ = (rect.col + rect.cols - 1) / grid.col_block - part.first_col_ + 1;
  const uint64_t rows = grid.row_of(rect.row + rect.rows - 1) - part.first_row_ + 1;
  part.values_.resize(rows * part.cols_);
  const std::span<float> values(part.values_);
  if (part.cols_ == grid.cols) {
    LLMC_RETURN_IF_ERROR(grid.values(part.first_row_ * grid.cols, values));
    return part;
  }
  for (uint64_t i = 0; i < rows; ++i)
    LLMC_RETURN_IF_ERROR(grid.values((part.first_row_ + i) * grid.cols + part.first_col_,
                                     values.subspan(i * part.cols_, part.cols_)));
  return part;
}

Status read_words(const TensorSource& source, size_t tensor, uint64_t first, std::span<uint32_t> out) {
  return source.read(tensor, first * sizeof(uint32_t), std::as_writable_bytes(out));
}

Result<std::vector<uint32_t>> read_groups(const TensorSource& source, size_t tensor, uint64_t first,
                                          uint64_t count, uint64_t groups) {
  std::vector<uint32_t> group(count);
  LLMC_RETURN_IF_ERROR(read_words(source, tensor, first, group));
  for (size_t i = 0; i < group.size(); ++i) {
    if (group[i] >= groups)
      return error(ErrorKind::kCorrupt, "input {} is of group {}, and there are {}", first + i, group[i],
                   groups)
          .in_file(source.file(tensor))
          .in_tensor(source.tensors()[tensor].name);
  }
  return group;
}

}  // namespace llmcodec
