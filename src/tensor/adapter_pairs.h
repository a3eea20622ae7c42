// SPDX-License-Identifier: BSD-3-Clause
// The pairs of factors of low-rank updates (LoRA) in a checkpoint: W = B A, with A ("down", rank x inputs) and B
// ("up", outputs x rank), found by the names that PEFT, kohya, diffusers and llama.cpp give them.
//
// Example (const std::vector<TensorInfo>& tensors):
//
//   for (const AdapterPair& pair : adapter_pairs(tensors))
//     use(tensors[pair.down].name, tensors[pair.up].name);
#pragma once

#include <vector>

#include "tensor/tensor_source.h"

namespace llmcodec {

struct AdapterPair {
  size_t down = 0, up = 0;  // indices of A and B
};

// Pairs of floating-point tensors of one matrix each, A with as many rows as B has columns, at most 512; by rising `down`. What has
// no partner is in no pair.
std::vector<AdapterPair> adapter_pairs(const std::vector<TensorInfo>& tensors);

}  // namespace llmcodec
