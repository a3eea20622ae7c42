// SPDX-License-Identifier: BSD-3-Clause
// Tensors that a model holds more than once: embedding and head of many checkpoints, layers that were duplicated. The
// archive stores them once (docs/tensors.md).
//
// Example (const TensorSource& source):
//
//   const EqualTensorRules rules = {.alike = [](size_t, size_t) { return true; }, .preferred = [](size_t) { return false; }};
//   LLMC_ASSIGN_OR_RETURN(const std::vector<TensorCopy> copies, find_equal_tensors(source, rules, 0));
//   for (const TensorCopy& copy : copies) use(copy.index, copy.original);
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "tensor/tensor_source.h"

namespace llmcodec {

// Positions in source.tensors().
struct TensorCopy {
  size_t index = 0;
  size_t original = 0;  // which is no copy itself
};

struct EqualTensorRules {
  std::function<bool(size_t a, size_t b)> alike;  // whether one may stand for the other
  std::function<bool(size_t tensor)> preferred;   // as the one that stands for others
};

// By rising index. Tensors are equal when dtype, shape and the XXH3-128 of their bytes are. Those of one dtype and shape
// are read whole only if their first and last bytes agree, so that a model without copies is hardly read at all. An
// original is a preferred tensor where there is one, else the first. Errors: those of reading.
Result<std::vector<TensorCopy>> find_equal_tensors(const TensorSource& source, const EqualTensorRules& rules,
                                                   unsigned threads);

}  // namespace llmcodec
