// SPDX-License-Identifier: BSD-3-Clause
// Codes that lie row by row as the weights do, with one scale for each block:
//   weight = (value of the code - zero of its block) * scale of its block
// That is FP8 and I8 with any granularity, MXFP4, NVFP4, the packed integers of compressed-tensors, and NF4.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "scheme/stored_matrix.h"

namespace llmcodec {

// What a code stands for, and how codes lie in a row of bytes. Rows begin at a byte.
struct CodeBook {
  std::vector<float> values = {};  // 2^bits of them
  uint32_t bits = 8;               // 2, 4 or 8
  bool high_first = false;         // the first of a byte's codes is in its highest bits (bitsandbytes)
};
CodeBook float_codes(Dtype dtype);     // of one byte: F8, and I8
CodeBook offset_codes(uint32_t bits);  // code - 2^(bits - 1)
CodeBook e2m1_codes();                 // 0 0.5 1 1.5 2 3 4 6 and their negatives

struct BlockScaled {
  const TensorSource* source = nullptr;  // must live as long
  size_t codes = 0;                      // tensor of the codes
  uint64_t rows = 0, cols = 0;           // of weights, all matrices together
  uint64_t row_bytes = 0;                // of codes
  CodeBook book;
  // Instead of `book`, where its values are a tensor of the checkpoint (bitsandbytes).
  ValueReader book_values = {};
  Grid scales;
  std::optional<Grid> zeros = {};
  // Where columns belong to groups in no order: I32 [cols], the group of each, which is the column of both grids.
  std::optional<size_t> groups = {};
};

std::unique_ptr<StoredMatrix> block_scaled(BlockScaled layout);

}  // namespace llmcodec
