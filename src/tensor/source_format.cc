// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/source_format.h"

#include <algorithm>

#include "base/checked_math.h"

namespace llmcodec {
namespace {

struct SchemeName {
  SourceScheme scheme;
  const char* name;
};
constexpr auto kNames = std::to_array<SchemeName>({{SourceScheme::kFp8, "fp8"},
                                                   {SourceScheme::kInt8, "int8"},
                                                   {SourceScheme::kNvfp4, "nvfp4"},
                                                   {SourceScheme::kMxfp4, "mxfp4"},
                                                   {SourceScheme::kPackedIntegers, "packed_integers"},
                                                   {SourceScheme::kGptq, "gptq"},
                                                   {SourceScheme::kAwq, "awq"},
                                                   {SourceScheme::kBitsandbytes, "bitsandbytes"},
                                                   {SourceScheme::kMlx, "mlx"}});

}  // namespace

const char* source_scheme_name(SourceScheme scheme) {
  return std::ranges::find(kNames, scheme, &SchemeName::scheme)->name;
}

std::optional<SourceScheme> source_scheme_of(std::string_view name) {
  const auto found =
      std::ranges::find_if(kNames, [&](const SchemeName& known) { return name == known.name; });
  return found == kNames.end() ? std::nullopt : std::optional(found->scheme);
}

std::optional<std::array<uint64_t, 2>> scale_grid(const BlockScales& scales,
                                                  const std::vector<uint64_t>& shape) {
  if (shape.size() < 2 || scales.block_rows == 0 || scales.block_cols == 0) return std::nullopt;
  const auto count = checked_product(scales.scale.shape);
  const auto matrices = checked_product(std::span(shape).first(shape.size() - 2));
  if (!count || !matrices || !checked_product(shape)) return std::nullopt;
  const uint64_t rows = shape[shape.size() - 2], cols = shape.back();
  if (*count == 1 && scales.block_rows >= rows && scales.block_cols >= cols)
    return std::array<uint64_t, 2>{1, 1};
  const std::array<uint64_t, 2> grid = {*matrices * ceil_div(rows, scales.block_rows),
                                        ceil_div(cols, scales.block_cols)};
  return checked_product(grid) == *count ? std::optional(grid) : std::nullopt;
}

}  // namespace llmcodec
