// SPDX-License-Identifier: BSD-3-Clause
// How a quantised source stored a tensor that is BF16 here: what an archive remembers, so that the tensor can be written
// back in that format (`decompress --as-source`).
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor_source.h"

namespace llmcodec {

enum class SourceScheme {
  kFp8,
  kInt8,
  kNvfp4,
  kMxfp4,
  kPackedIntegers,  // of compressed-tensors
  kGptq,
  kAwq,
  kBitsandbytes,
  kMlx,
};
const char* source_scheme_name(SourceScheme scheme);  // "fp8", "int8", ...
std::optional<SourceScheme> source_scheme_of(std::string_view name);

// The scales of codes of eight bits, one for each block of a matrix: `scale` has their name, dtype and shape.
struct BlockScales {
  TensorInfo scale;
  uint64_t block_rows = 1, block_cols = 1;  // of weights
};

// A small tensor that stood beside the codes (scales of activations), with its bytes.
struct TensorBeside {
  Dtype dtype = Dtype::kF32;
  std::vector<uint64_t> shape;
  std::vector<std::byte> bytes;
};
inline constexpr size_t kMaxBesideBytes = 64;

struct SourceFormat {
  SourceScheme scheme = SourceScheme::kFp8;
  // Present where weights can be written back: E4M3 codes under the tensor's own name.
  std::optional<BlockScales> scales = {};
  std::map<std::string, TensorBeside> beside = {};  // by name
};

// How many scales lie along rows and columns of all matrices together: {1, 1} for one scale of all. nullopt where the
// block, the tensor's shape and the shape of the scales do not go together.
std::optional<std::array<uint64_t, 2>> scale_grid(const BlockScales& scales,
                                                  const std::vector<uint64_t>& shape);

}  // namespace llmcodec
