// SPDX-License-Identifier: BSD-3-Clause
#include "scheme/claims.h"

#include <algorithm>
#include <array>

#include "base/checked_math.h"
#include "scheme/foreign_schemes.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

std::string shape_text(const std::vector<uint64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// Scales by the names that quantisers give them, seen from the codes.
std::optional<size_t> scales_beside(const StoredNames& names, size_t codes) {
  const std::string& name = names.info(codes).name;
  const std::string module = module_of(name);
  const std::string stem = name.ends_with("_blocks") ? name.substr(0, name.size() - 7) : name;
  return names.first({name + "_scale", name + "_scale_inv", name + "_scales", name + ".absmax",
                      stem + "_scales", module + ".scale", module + ".scales", module + ".weight_scale",
                      module + ".SCB", module + ".scale_weight"});
}

bool may_be_codes(const TensorInfo& info) {
  if (info.shape.size() < 2) return false;
  const TensorRole role = tensor_role(info);
  if (role == TensorRole::kPackedCodes || info.name.ends_with("_blocks") || info.name.ends_with(".qweight"))
    return true;
  if (role == TensorRole::kQuantiserScale) return false;
  return dtype_info(info.dtype).floating && dtype_info(info.dtype).block_bytes == 1;  // F8
}

// The block that cuts `size` into `count`: a power of two, or what divides it.
std::optional<uint64_t> block_of(uint64_t size, uint64_t count) {
  if (count == 0 || size == 0 || count > size) return std::nullopt;
  if (count == 1) return size;
  for (uint64_t block = 1; block < size; block *= 2) {
    if (ceil_div(size, block) == count) return block;
  }
  return size % count == 0 ? std::optional(size / count) : std::nullopt;
}

MaybeClaim claim(const StoredNames& names, size_t codes, const DeclaredScheme& declared) {
  for (const auto known : {claim_four_bit_floats, claim_byte_codes, claim_gpt_oss, claim_bitsandbytes}) {
    LLMC_ASSIGN_OR_RETURN(std::optional<Claim> found, known(names, codes));
    if (found) return found;
  }
  for (const auto known : {claim_packed_integers, claim_mlx}) {
    LLMC_ASSIGN_OR_RETURN(std::optional<Claim> found, known(names, codes, declared));
    if (found) return found;
  }
  return claim_gptq_or_awq(names, codes, declared);
}

Error not_known(const StoredNames& names, size_t codes, size_t scales) {
  const std::string family = family_of(names.info(codes));
  return names.misfit(
      codes, fmt::format("quantised{} in a way that is not known: '{}' beside it is {} of {}; "
                         "dequantise the model first, or keep all (--keep .)",
                         family.empty() ? "" : " by " + family, names.info(scales).name,
                         dtype_info(names.info(scales).dtype).name, shape_text(names.info(scales).shape)));
}

// Weights that a scheme multiplied by something else before they were quantised are not those of the model.
Status check_not_smoothed(const StoredNames& names) {
  for (const TensorInfo& info : names.source().tensors()) {
    if (!info.name.ends_with(".pre_quant_scale")) continue;
    return error(ErrorKind::kUnsupported,
                 "the layer's inputs are multiplied by this before its weights (AWQ of ModelOpt), which no "
                 "plain "
                 "model does; give the model from before quantisation, or keep all (--keep .)")
        .in_tensor(info.name);
  }
  return Status::ok();
}

}  // namespace

StoredNames::StoredNames(const TensorSource& source) : source_(source) {
  for (size_t i = 0; i < source.tensors().size(); ++i) index_.emplace(source.tensors()[i].name, i);
}

std::optional<size_t> StoredNames::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<size_t> StoredNames::first(std::initializer_list<std::string> names) const {
  for (const std::string& name : names) {
    if (const auto found = find(name)) return found;
  }
  return std::nullopt;
}

Error StoredNames::misfit(size_t tensor, const std::string& why) const {
  return error(ErrorKind::kUnsupported, "{} of {}: {}", dtype_info(info(tensor).dtype).name,
               shape_text(info(tensor).shape), why)
      .in_tensor(info(tensor).name)
      .in_file(source_.file(tensor));
}

std::string module_of(const std::string& name) {
  return name.substr(0, name.rfind('.'));
}

void add_companions(const StoredNames& names, const std::string& module, std::vector<size_t>* parts) {
  for (const char* name :
       {"input_scale", "input_zero_point", "input_global_scale", "output_scale", "output_zero_point",
        "weight_scale_ub", "input_scale_ub", "scale_input", "activation_scale"}) {
    if (const auto found = names.find(module + "." + name)) parts->push_back(*found);
  }
}

std::optional<Grid> fit_grid(const std::vector<uint64_t>& scales, const std::vector<uint64_t>& shape) {
  if (shape.size() < 2) return std::nullopt;
  const size_t stacked = shape.size() - 2;
  const uint64_t rows = shape[stacked], cols = shape[stacked + 1];
  const uint64_t count = checked_product(scales).value_or(0);
  Grid grid{.matrix_rows = rows, .row_block = rows, .col_block = cols};
  if (count == 1) {
    grid.matrix_rows = grid.row_block = checked_product(std::span(shape).first(stacked + 1)).value_or(0);
    return grid;
  }
  // One for each matrix, or what each matrix has, behind the sides of the stack.
  if (scales.size() < stacked ||
      !std::equal(scales.begin(), scales.begin() + static_cast<long>(stacked), shape.begin()))
    return std::nullopt;
  std::vector<uint64_t> own(scales.begin() + static_cast<long>(stacked), scales.end());
  if (own.size() > 2) return std::nullopt;
  if (own.size() == 1 && own[0] != rows && own[0] != 1) return std::nullopt;
  own.resize(2, 1);
  const auto row_block = block_of(rows, own[0]), col_block = block_of(cols, own[1]);
  // No scheme has one for each column: [1, columns] would be something else.
  if (!row_block || !col_block || (*col_block == 1 && cols > 1)) return std::nullopt;
  grid.rows = own[0];
  grid.cols = own[1];
  grid.row_block = *row_block;
  grid.col_block = *col_block;
  return grid;
}

Result<Claims> find_claims(const TensorSource& stored, const DeclaredScheme& declared) {
  const StoredNames names(stored);
  LLMC_RETURN_IF_ERROR(check_no_foreign_scheme(names));
  Claims claims;
  for (size_t i = 0; i < stored.tensors().size(); ++i) {
    const TensorInfo& info = names.info(i);
    if (!may_be_codes(info)) continue;
    LLMC_ASSIGN_OR_RETURN(std::optional<Claim> found, claim(names, i, declared));
    if (!found) {
      if (const auto scales = scales_beside(names, i)) return not_known(names, i, *scales);
      continue;
    }
    claims.logical.push_back(std::move(found->tensor));
    claims.schemes.push_back(std::move(found->scheme));
  }
  if (!claims.logical.empty()) LLMC_RETURN_IF_ERROR(check_not_smoothed(names));
  return claims;
}

}  // namespace llmcodec
