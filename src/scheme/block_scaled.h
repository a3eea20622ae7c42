// SPDX-License-Identifier: BSD-3-Clause
// Codes that lie row by row as the weights do, with one scale for each block:
//   weight = (value of the code - zero of its block) * scale of its block + bias of its block
// where no scheme has both a zero and a bias. That is FP8 and I8 with any granularity, MXFP4, NVFP4, the packed integers
// of compressed-tensors, NF4, and all of MLX.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "scheme/stored_matrix.h"

namespace llmcodec {

// What a code stands for, and how codes lie in a row of bytes: one after the other from the lowest bit on, over the ends
// of bytes. Rows begin at a byte.
struct CodeBook {
  std::vector<float> values = {};  // 2^bits of them
  uint32_t bits = 8;               // 1 to 8
  // So many codes begin at the lowest bit of each 32-bit word, and the bits that are left are empty; 0: no word matters.
  uint32_t per_word = 0;
  bool high_first = false;  // of four bits: the first of a byte's two codes is the higher (bitsandbytes)
};
CodeBook float_codes(Dtype dtype);       // of one byte: F8, and I8
CodeBook offset_codes(uint32_t bits);    // code - 2^(bits - 1)
CodeBook unsigned_codes(uint32_t bits);  // the code itself
CodeBook e2m1_codes();                   // 0 0.5 1 1.5 2 3 4 6 and their negatives

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
  std::optional<Grid> biases = {};
  // Where columns belong to groups in no order: I32 [cols], the group of each, which is the column of the grids.
  std::optional<size_t> groups = {};
};

std::unique_ptr<StoredMatrix> block_scaled(BlockScaled layout);

}  // namespace llmcodec
