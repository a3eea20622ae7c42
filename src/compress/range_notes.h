// SPDX-License-Identifier: BSD-3-Clause
// What decompress will refuse to write in a narrower dtype, said before anything is coded.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "compress/fitted_tensor.h"

namespace llmcodec {

// A sentence for each dtype that cannot hold the largest weights of some of these tensors, and in which they come back
// by default (GGUF's blocks, as F16) or on request (`decompress --dtype f16`, `bf16`).
std::vector<std::string> range_notes(std::span<const FittedTensor> tensors, const TensorSource& source);

}  // namespace llmcodec
