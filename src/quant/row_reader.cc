// SPDX-License-Identifier: BSD-3-Clause
#include "quant/row_reader.h"

#include <algorithm>
#include <vector>

namespace llmcodec {

Status for_each_row_block(RowReader& reader, const RowBlockVisitor& visit, size_t block_weights) {
  const size_t rows = reader.rows(), cols = reader.cols();
  if (rows == 0 || cols == 0) return Status::ok();
  const size_t block_rows = std::clamp<size_t>(block_weights / cols, 1, rows);
  std::vector<float> buffer(block_rows * cols);
  for (size_t first = 0; first < rows; first += block_rows) {
    const MatrixView<float> block(buffer.data(), std::min(block_rows, rows - first), cols);
    LLMC_RETURN_IF_ERROR(reader.read_rows(first, block));
    LLMC_RETURN_IF_ERROR(visit(first, block));
  }
  return Status::ok();
}

}  // namespace llmcodec
