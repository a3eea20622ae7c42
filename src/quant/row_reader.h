// SPDX-License-Identifier: BSD-3-Clause
// Streaming access to one matrix of floats, so that a matrix of 400 million weights never sits in
// memory as float. Readers give finite or non-finite values as they are; whoever needs finite
// ones checks (fit_scales does).
//
// Example (RowReader& reader):
//
//   LLMC_RETURN_IF_ERROR(for_each_row_block(reader, [](size_t first_row, MatrixView<const float> rows) {
//     use(first_row, rows);
//     return Status::ok();
//   }));
#pragma once

#include <cstddef>
#include <functional>

#include "llmcodec/matrix_view.h"
#include "llmcodec/status.h"

namespace llmcodec {

class RowReader {
 public:
  virtual ~RowReader() = default;
  virtual size_t rows() const = 0;
  virtual size_t cols() const = 0;
  // Fills `out` (out.cols == cols()) with rows [first, first + out.rows), which lie inside the matrix. May be
  // called again for the same rows, in any order; not thread-safe unless the implementation says so.
  virtual Status read_rows(size_t first, MatrixView<float> out) = 0;
};

// Calls `visit(first_row, block)` for consecutive blocks of rows, top to bottom, of about `block_weights`
// weights (at least one row). Stops at the first error of the reader or of `visit`.
inline constexpr size_t kDefaultBlockWeights = size_t{1} << 18;  // 1 MiB of floats: fits the L2 cache
using RowBlockVisitor = std::function<Status(size_t first_row, MatrixView<const float> block)>;
Status for_each_row_block(RowReader& reader, const RowBlockVisitor& visit,
                          size_t block_weights = kDefaultBlockWeights);

}  // namespace llmcodec
