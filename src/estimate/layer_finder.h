// SPDX-License-Identifier: BSD-3-Clause
// Which tensor does what in one layer: what the table of architectures says of it, by names and shapes. Parts that are not built so
// are left empty.
#pragma once

#include "estimate/named_tensors.h"

namespace llmcodec {

// Larger than any model's side; sizes below can be multiplied.
inline constexpr uint64_t kMaxSide = uint64_t{1} << 30;
// What names of a head that pools begin with, after the stack's.
inline constexpr const char* kPoolingHead = "pool.";

// `graph` has all but its layers. `other_width`: of the vectors of the stack that layers read too; 0 where there is none.
GraphLayer find_layer(NamedTensors& names, const ModelGraph& graph, uint32_t number, uint64_t other_width);

// The same of a head that pools the other stack's output.
GraphLayer find_pooling_head(NamedTensors& names, const ModelGraph& graph, uint64_t other_width);

}  // namespace llmcodec
