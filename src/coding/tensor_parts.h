// SPDX-License-Identifier: BSD-3-Clause
// The small parts of a coded tensor, as structs and as the bytes that the archive packs (docs/format.md,
// section 1): scales with their zeros, and outliers. Both directions stand side by side.
//
// Example (std::span<const MatrixScales> scales, const MatrixShape& shape, const PartContent& read):
//
//   const std::vector<Part> parts = scales_to_parts(scales);  // packed, in writing order
//   const ScalesStage stage = scales_stage(scales, ColumnOrder::kNone);
//   LLMC_ASSIGN_OR_RETURN(const auto same, scales_from_parts(stage, shape, read));  // validated
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "coding/tensor_recipe.h"
#include "quant/outliers.h"
#include "quant/scales.h"
#include "tensor/matrix_shape.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

struct Part {
  std::string name;
  std::vector<std::byte> bytes;  // packed
};

// The unpacked content of a part; an error when it is absent or has more than `max_bytes`.
using PartContent =
    std::function<Result<std::vector<std::byte>>(const std::string& part, uint64_t max_bytes)>;

// What all matrices share goes into the stage, their codes into parts.
ScalesStage scales_stage(std::span<const MatrixScales> matrices, ColumnOrder order);
std::vector<Part> scales_to_parts(std::span<const MatrixScales> matrices);
// One per matrix of `shape`. Corrupt for a part of another size than the stage asks for and for scales that
// cannot be.
Result<std::vector<MatrixScales>> scales_from_parts(const ScalesStage& stage, const MatrixShape& shape,
                                                    const PartContent& read);

// Corrupt for a part that none of the stages takes: without it the tensor would have other weights, and nobody would
// be told. Those that are needed and absent are found when they are read.
Status check_parts(const TensorRecord& record, const ScalesStage& scales);

// Bytes that one outlier of this tensor takes before it is packed: index and exact value.
uint64_t outlier_bytes(const TensorInfo& info);
// `outliers` count over all matrices of the tensor. Values keep the tensor's dtype, F32 for block dtypes.
Result<Part> outliers_to_part(const OutlierList& outliers, const TensorInfo& info);
// `count`: as the description says. Corrupt for more outliers than weights, another size, or indices that do
// not ascend.
Result<OutlierList> outliers_from_part(uint64_t count, const TensorInfo& info, const PartContent& read);

}  // namespace llmcodec
