// SPDX-License-Identifier: BSD-3-Clause
// FP8 and INT8 with scales, NVFP4 and MXFP4.
#include <algorithm>

#include "base/checked_math.h"
#include "scheme/block_scaled.h"
#include "scheme/claims.h"

namespace llmcodec {
namespace {

bool is_f8(Dtype dtype) {
  return dtype == Dtype::kF8E4M3 || dtype == Dtype::kF8E5M2 || dtype == Dtype::kF8E4M3Fnuz ||
         dtype == Dtype::kF8E5M2Fnuz;
}

bool is_scale(const TensorInfo& info) {
  return info.dtype == Dtype::kF32 || info.dtype == Dtype::kF16 || info.dtype == Dtype::kBF16 ||
         info.dtype == Dtype::kF64;
}

// Powers of two: FP8 scales of DeepSeek since 3.1, and all of MXFP4 and MXFP8.
bool is_exponent(const TensorInfo& info) {
  return info.dtype == Dtype::kF8E8M0 || info.dtype == Dtype::kU8;
}

std::string granularity(const Grid& grid, uint64_t cols) {
  if (grid.rows == 1 && grid.cols == 1) return "per tensor";
  if (grid.col_block == cols && grid.row_block == 1) return "per channel";
  return fmt::format("blocks of {}x{}", grid.row_block, grid.col_block);
}

uint64_t all_rows(const std::vector<uint64_t>& shape) {
  return checked_product(std::span(shape).first(shape.size() - 1)).value_or(0);
}

BlockScaled row_major(const StoredNames& names, size_t codes, const std::vector<uint64_t>& shape,
                      CodeBook book, Grid scales) {
  return {.source = &names.source(),
          .codes = codes,
          .rows = all_rows(shape),
          .cols = shape.back(),
          .row_bytes = ceil_div(shape.back() * book.bits, 8),
          .book = std::move(book),
          .scales = std::move(scales)};
}

Claim claim_of(std::string name, std::vector<uint64_t> shape, std::vector<size_t> parts, BlockScaled layout,
               std::string scheme) {
  Claim claim;
  claim.tensor.info = {std::move(name), Dtype::kBF16, std::move(shape)};
  claim.tensor.parts = std::move(parts);
  claim.tensor.values = block_scaled(std::move(layout));
  claim.scheme = std::move(scheme);
  return claim;
}

// E4M3 codes times scales that are floats, or exponents by their dtype, and nothing else: what is written back.
SourceFormat byte_format(const TensorInfo& codes, const TensorInfo& scale, const BlockScaled& layout) {
  SourceFormat format;
  format.scheme = is_f8(codes.dtype) ? SourceScheme::kFp8 : SourceScheme::kInt8;
  if (scale.name.ends_with(".SCB")) format.scheme = SourceScheme::kBitsandbytes;
  const bool known_scale = is_scale(scale) ? scale.dtype != Dtype::kF64 : scale.dtype == Dtype::kF8E8M0;
  if (codes.dtype != Dtype::kF8E4M3 || layout.zeros || !known_scale) return format;
  format.scales = BlockScales{scale, layout.scales.row_block, layout.scales.col_block};
  if (!scale_grid(*format.scales, codes.shape)) format.scales.reset();
  return format;
}

// Scales times, or divided by, one number for the whole tensor.
ValueReader with_global(ValueReader values, ValueReader global, bool divide) {
  return [values = std::move(values), global = std::move(global), divide](uint64_t first,
                                                                          std::span<float> out) -> Status {
    LLMC_RETURN_IF_ERROR(values(first, out));
    float factor = 1;
    LLMC_RETURN_IF_ERROR(global(0, std::span(&factor, 1)));
    for (float& value : out) value = divide ? value / factor : value * factor;
    return Status::ok();
  };
}

// Names of a scale for the byte codes `name`.
std::optional<size_t> scale_of_bytes(const StoredNames& names, const std::string& name) {
  const auto scale = names.first({name + "_scale_inv", name + "_scale"});
  if (scale || !name.ends_with(".weight")) return scale;
  return names.first(
      {module_of(name) + ".scale", module_of(name) + ".SCB", module_of(name) + ".scale_weight"});
}

// Two codes of E2M1 to a byte, the lower half first; nullopt unless each scale is for `block` of them.
std::optional<Grid> grid_of_pairs(const TensorInfo& codes, const TensorInfo& scales, uint64_t block) {
  if (codes.shape.size() < 2 || scales.shape.size() != codes.shape.size()) return std::nullopt;
  if (!std::equal(codes.shape.begin(), codes.shape.end() - 1, scales.shape.begin())) return std::nullopt;
  const uint64_t cols = codes.shape.back() * 2;
  if (ceil_div(cols, block) != scales.shape.back()) return std::nullopt;
  const uint64_t rows = all_rows(codes.shape);
  return Grid{
      .rows = rows, .cols = scales.shape.back(), .matrix_rows = rows, .row_block = 1, .col_block = block};
}

}  // namespace

MaybeClaim claim_byte_codes(const StoredNames& names, size_t codes) {
  const TensorInfo& info = names.info(codes);
  if (!is_f8(info.dtype) && info.dtype != Dtype::kI8) return std::optional<Claim>();
  const auto scale = scale_of_bytes(names, info.name);
  if (!scale) return std::optional<Claim>();
  const TensorInfo& scale_info = names.info(*scale);
  if (!is_scale(scale_info) && !is_exponent(scale_info)) return std::optional<Claim>();
  auto grid = fit_grid(scale_info.shape, info.shape);
  if (!grid) return std::optional<Claim>();
  grid->values = plain_values(names.source(), *scale);
  const std::string module = module_of(info.name);
  std::vector<size_t> parts = {codes, *scale};
  if (scale_info.name.ends_with(".SCB")) {  // bitsandbytes: the largest magnitude of the row, which is 127
    grid->values = [values = grid->values](uint64_t first, std::span<float> out) -> Status {
      LLMC_RETURN_IF_ERROR(values(first, out));
      for (float& value : out) value /= 127.0f;
      return Status::ok();
    };
    if (const auto format = names.find(module + ".weight_format")) parts.push_back(*format);
  }
  BlockScaled layout = row_major(names, codes, info.shape, float_codes(info.dtype), *grid);
  if (const auto zero = names.find(info.name + "_zero_point")) {
    if (names.info(*zero).shape != scale_info.shape) return std::optional<Claim>();
    if (names.info(*zero).dtype != Dtype::kI8 && !dtype_info(names.info(*zero).dtype).floating)
      return std::optional<Claim>();
    layout.zeros = *grid;
    layout.zeros->values = plain_values(names.source(), *zero);
    parts.push_back(*zero);
  }
  const std::string scheme =
      fmt::format("{}, {}", dtype_info(info.dtype).name, granularity(*grid, info.shape.back()));
  add_companions(names, module, &parts);
  const SourceFormat format = byte_format(info, scale_info, layout);
  Claim claim = claim_of(info.name, info.shape, std::move(parts), std::move(layout), scheme);
  claim.tensor.format = format;
  return std::optional(std::move(claim));
}

MaybeClaim claim_four_bit_floats(const StoredNames& names, size_t codes) {
  const TensorInfo& info = names.info(codes);
  const std::string module = module_of(info.name);
  if ((info.dtype != Dtype::kU8 && info.dtype != Dtype::kI8) || info.shape.size() < 2)
    return std::optional<Claim>();
  if (!info.name.ends_with(".weight") && !info.name.ends_with(".weight_packed"))
    return std::optional<Claim>();
  const auto scale = names.first({module + ".weight_scale", module + ".weight_scale_inv", module + ".scale"});
  if (!scale) return std::optional<Claim>();
  const bool nvidia = names.info(*scale).dtype == Dtype::kF8E4M3;
  if (!nvidia && !is_exponent(names.info(*scale))) return std::optional<Claim>();
  auto grid = grid_of_pairs(info, names.info(*scale), nvidia ? 16 : 32);
  if (!grid) return std::optional<Claim>();
  grid->values = plain_values(names.source(), *scale);
  std::vector<size_t> parts = {codes, *scale};
  if (nvidia) {  // compressed-tensors divides by its global scale, ModelOpt multiplies by its second one
    const auto divisor = names.find(module + ".weight_global_scale");
    const auto factor = names.find(module + ".weight_scale_2");
    if (!divisor && !factor) return std::optional<Claim>();
    const size_t global = divisor ? *divisor : *factor;
    if (names.info(global).elements() != 1 || !is_scale(names.info(global))) return std::optional<Claim>();
    grid->values = with_global(grid->values, plain_values(names.source(), global), divisor.has_value());
    parts.push_back(global);
  }
  std::vector<uint64_t> shape = info.shape;
  shape.back() *= 2;
  BlockScaled layout = row_major(names, codes, shape, e2m1_codes(), *grid);
  add_companions(names, module, &parts);
  Claim claim =
      claim_of(module + ".weight", shape, std::move(parts), std::move(layout), nvidia ? "NVFP4" : "MXFP4");
  claim.tensor.format.scheme = nvidia ? SourceScheme::kNvfp4 : SourceScheme::kMxfp4;
  return std::optional(std::move(claim));
}

// [experts, outputs, blocks, 16 bytes]; the model that transformers makes of it has [experts, inputs, outputs].
MaybeClaim claim_gpt_oss(const StoredNames& names, size_t codes) {
  constexpr uint64_t kBlockBytes = 16;
  const TensorInfo& info = names.info(codes);
  constexpr std::string_view kSuffix = "_blocks";
  if (info.dtype != Dtype::kU8 || !info.name.ends_with(kSuffix) || info.shape.size() != 4)
    return std::optional<Claim>();
  const std::string name = info.name.substr(0, info.name.size() - kSuffix.size());
  const auto scale = names.find(name + "_scales");
  if (!scale || !is_exponent(names.info(*scale)) || info.shape[3] != kBlockBytes)
    return std::optional<Claim>();
  const uint64_t experts = info.shape[0], outputs = info.shape[1], blocks = info.shape[2];
  if (names.info(*scale).shape != std::vector<uint64_t>{experts, outputs, blocks})
    return std::optional<Claim>();
  const uint64_t inputs = blocks * kBlockBytes * 2, rows = experts * outputs;
  Grid grid{.values = plain_values(names.source(), *scale),
            .rows = rows,
            .cols = blocks,
            .matrix_rows = rows,
            .row_block = 1,
            .col_block = 32};
  BlockScaled layout = row_major(names, codes, {experts, outputs, inputs}, e2m1_codes(), grid);
  Claim claim = claim_of(name, {experts, inputs, outputs}, {codes, *scale}, std::move(layout), "MXFP4");
  claim.tensor.transposed = true;
  claim.tensor.matrices = experts;
  claim.tensor.format.scheme = SourceScheme::kMxfp4;
  return std::optional(std::move(claim));
}

}  // namespace llmcodec
