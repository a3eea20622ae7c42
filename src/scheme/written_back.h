// SPDX-License-Identifier: BSD-3-Clause
// BF16 weights as the codes and scales of a quantised checkpoint again: each block's scale is its largest magnitude
// divided by the largest code, 448, and each code the E4M3 number nearest to weight / scale, ties to even. Weights that came
// from such codes, in blocks whose largest code was 448, give the same codes.
//
// Example (const BlockScales& format, const std::vector<uint64_t>& shape, std::span<const std::byte> bf16):
//
//   LLMC_ASSIGN_OR_RETURN(const CodesAndScales written, write_back_e4m3(format, shape, bf16));
//   use(written.codes, written.scales);
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "llmcodec/status.h"
#include "tensor/source_format.h"

namespace llmcodec {

struct CodesAndScales {
  std::vector<std::byte> codes;   // F8_E4M3, of the tensor's shape
  std::vector<std::byte> scales;  // of format.scale's dtype and shape
};

// `bf16`: all weights of a tensor of `shape`. A block of zeros has the scale 1. InvalidArgument where the shapes do not go
// together, and for a weight that is not finite.
Result<CodesAndScales> write_back_e4m3(const BlockScales& format, const std::vector<uint64_t>& shape,
                                       std::span<const std::byte> bf16);

}  // namespace llmcodec
