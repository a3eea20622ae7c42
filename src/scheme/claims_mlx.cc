// SPDX-License-Identifier: BSD-3-Clause
// MLX: codes in U32 words, along the inputs, of any linear layer, embedding or stack of experts. `weight`, `scales` and
// `biases` are affine codes of 2 to 8 bits in groups; without `biases` they are MXFP4, MXFP8 or NVFP4.
#include <algorithm>

#include "base/checked_math.h"
#include "scheme/block_scaled.h"
#include "scheme/claims.h"

namespace llmcodec {
namespace {

constexpr char kAffine[] = "affine";

struct MlxCodes {
  uint64_t bits = 0, group = 0;
  std::string mode;
};

// Floats of small codes that stand in U8.
ValueReader bytes_as(const TensorSource& source, size_t tensor, Dtype dtype) {
  return [&source, tensor, book = float_codes(dtype)](uint64_t first, std::span<float> out) -> Status {
    std::vector<uint8_t> codes(out.size());
    LLMC_RETURN_IF_ERROR(source.read(tensor, first, std::as_writable_bytes(std::span(codes))));
    std::ranges::transform(codes, out.begin(), [&](uint8_t code) { return book.values[code]; });
    return Status::ok();
  };
}

// Bits and group are those of the config; the shapes tell their product only, which is the bits of a group's codes.
Result<std::optional<MlxCodes>> codes_of(const StoredNames& names, size_t weight, uint64_t group_bits,
                                         const DeclaredScheme& declared) {
  const std::string module = module_of(names.info(weight).name);
  const MlxCodes codes{declared.count("bits", module), declared.count("group_size", module),
                       declared.mode(module)};
  if (declared.method != "mlx")
    return names.misfit(weight,
                        "quantised by MLX: how many bits its codes have stands in the config.json of "
                        "its folder, which was not found; give the folder, or keep all (--keep .)");
  const bool affine = codes.mode == kAffine;
  const bool known = affine ? codes.bits >= 2 && codes.bits <= 8 && codes.bits != 7
                            : codes.bits == (codes.mode == "mxfp8" ? 8 : 4);
  if (!known || codes.bits * codes.group != group_bits) return std::optional<MlxCodes>();
  return std::optional(codes);
}

// Groups in a row; 0 where the scales have other rows than the codes, or cut them in the middle of a word.
uint64_t groups_of(const TensorInfo& codes, const TensorInfo& scales) {
  const bool same_rows = scales.shape.size() == codes.shape.size() &&
                         std::equal(codes.shape.begin(), codes.shape.end() - 1, scales.shape.begin());
  if (!same_rows || scales.shape.back() == 0 || codes.shape.back() % scales.shape.back() != 0) return 0;
  return scales.shape.back();
}

bool are_of_mode(const StoredNames& names, const std::string& mode, size_t scales,
                 const std::optional<size_t>& biases) {
  const TensorInfo& info = names.info(scales);
  if (mode != kAffine) return !biases && info.dtype == Dtype::kU8;
  return biases && names.info(*biases).shape == info.shape && dtype_info(info.dtype).floating &&
         dtype_info(names.info(*biases).dtype).floating;
}

CodeBook book_of(const MlxCodes& codes) {
  if (codes.mode == kAffine) return unsigned_codes(static_cast<uint32_t>(codes.bits));
  return codes.mode == "mxfp8" ? float_codes(Dtype::kF8E4M3) : e2m1_codes();
}

}  // namespace

MaybeClaim claim_mlx(const StoredNames& names, size_t codes, const DeclaredScheme& declared) {
  const TensorInfo& info = names.info(codes);
  if (info.dtype != Dtype::kU32 || !info.name.ends_with(".weight") || info.shape.size() < 2)
    return std::optional<Claim>();
  const std::string module = module_of(info.name);
  const auto scales = names.find(module + ".scales"), biases = names.find(module + ".biases");
  if (!scales) return std::optional<Claim>();
  const uint64_t groups = groups_of(info, names.info(*scales));
  if (groups == 0) return std::optional<Claim>();
  LLMC_ASSIGN_OR_RETURN(const std::optional<MlxCodes> found,
                        codes_of(names, codes, info.shape.back() / groups * 32, declared));
  if (!found || !are_of_mode(names, found->mode, *scales, biases)) return std::optional<Claim>();

  std::vector<uint64_t> shape = info.shape;
  shape.back() = groups * found->group;
  const uint64_t rows = checked_product(std::span(shape).first(shape.size() - 1)).value_or(0);
  Grid grid{.rows = rows, .cols = groups, .matrix_rows = rows, .row_block = 1, .col_block = found->group};
  grid.values = found->mode == "nvfp4" ? bytes_as(names.source(), *scales, Dtype::kF8E4M3)
                                       : plain_values(names.source(), *scales);
  BlockScaled layout{.source = &names.source(),
                     .codes = codes,
                     .rows = rows,
                     .cols = shape.back(),
                     .row_bytes = info.shape.back() * 4,
                     .book = book_of(*found),
                     .scales = grid};
  std::vector<size_t> parts = {codes, *scales};
  if (biases) {
    layout.biases = grid;
    layout.biases->values = plain_values(names.source(), *biases);
    parts.push_back(*biases);
  }
  const std::string kind = found->mode == kAffine ? fmt::format("{}-bit codes", found->bits) : found->mode;
  Claim claim;
  claim.tensor.info = {info.name, Dtype::kBF16, std::move(shape)};
  claim.tensor.parts = std::move(parts);
  claim.tensor.values = block_scaled(std::move(layout));
  claim.tensor.format.scheme = SourceScheme::kMlx;
  claim.scheme = "MLX's " + kind;
  return std::optional(std::move(claim));
}

}  // namespace llmcodec
