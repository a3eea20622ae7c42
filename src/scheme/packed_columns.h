// SPDX-License-Identifier: BSD-3-Clause
// GPTQ and AWQ: integers of a few bits in I32 words, stored as [inputs, outputs], with scales and zeros of each group of
// inputs:
//   weight = (code - zero) * scale
// GPTQ packs along the inputs and AWQ along the outputs, whose order in a word is 0 2 4 6 1 3 5 7. The zeros of both are
// packed along the outputs. GPTQ's first version stores zero - 1.
#pragma once

#include <memory>
#include <optional>

#include "scheme/stored_matrix.h"

namespace llmcodec {

enum class ColumnPacking { kGptq, kAwq };

struct PackedColumns {
  const TensorSource* source = nullptr;  // must live as long
  ColumnPacking packing = ColumnPacking::kGptq;
  size_t codes = 0, zeros = 0, scales = 0;  // qweight, qzeros, scales
  uint64_t inputs = 0, outputs = 0, groups = 0;
  uint64_t group_size = 0;
  uint32_t bits = 4;                          // 2, 3, 4 or 8; AWQ: 4
  std::optional<size_t> group_of_input = {};  // g_idx
  bool zero_minus_one = false;
};

// Rows are inputs, columns outputs.
std::unique_ptr<StoredMatrix> packed_columns(PackedColumns layout);

}  // namespace llmcodec
