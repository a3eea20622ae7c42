// SPDX-License-Identifier: BSD-3-Clause
#include "scheme/foreign_schemes.h"

#include <algorithm>
#include <array>

namespace llmcodec {
namespace {

// Codes called `codes`, and beside them, in the same module, a tensor called as one of `beside`.
struct ForeignScheme {
  std::string_view codes;
  std::array<std::string_view, 4> beside;  // empty: no more
  const char* name;
};

// Names as the programs write them that make these checkpoints. The first that matches holds.
constexpr auto kForeignSchemes = std::to_array<ForeignScheme>({
    {"q_weight", {"q_scale", "q_scale_max", "q_groups", "q_invperm"}, "EXL2"},
    {"trellis", {"suh", "svh", "su", "sv"}, "EXL3"},
    {"trellis", {"SU", "SV", "rcp", "tp_rank"}, "QTIP"},
    {"codes", {"codebooks"}, "AQLM"},
    {"Qidxs", {"SU", "SV", "Wscale", "codebook_id"}, "QuIP#"},
    {"dense_weights", {"row_offsets", "col_vals", "in_perm"}, "SpQR"},
    {"indices", {"centroids.weight", "centroids"}, "VPTQ"},
    {"W_q", {"scale", "zero", "meta", "nbits"}, "HQQ"},
    {"weight", {"weight_scales"}, "EETQ"},
    {"weight", {"tables", "tables2"}, "HIGGS"},
    {"_weight_qdata", {"_weight_scale", "_weight_zero_point"}, "torchao"},
    {"weight:qdata", {"weight:scale", "weight:zero_point"}, "torchao"},
    {"weight._data", {"weight._scale", "weight._shift"}, "Quanto"},
    {"weight._data._data", {"weight._scale", "weight._shift"}, "Quanto"},
    {"qweight", {"scaled_zeros"}, "AWQ in the layout of llm-awq"},
    {"qweight", {"lookup_table"}, "SqueezeLLM"},
    {"qweight", {"forward_hadamard_matrix"}, "FP-Quant"},
    {"B", {"s"}, "Marlin"},
    {"weight_packed", {"scale_packed", "meta"}, "compressed-tensors' marlin-24"},
    {"bitmask", {"compressed"}, "compressed-tensors' sparse weights"},
});

// Integers, and bytes of any kind.
bool may_hold_codes(const TensorInfo& info) {
  return !dtype_info(info.dtype).floating || dtype_info(info.dtype).block_bytes == 1;
}

// `name` without ".last"; nullopt where it does not end so.
std::optional<std::string> module_before(const std::string& name, std::string_view last) {
  if (name == last) return "";
  if (!name.ends_with(last) || name[name.size() - last.size() - 1] != '.') return std::nullopt;
  return name.substr(0, name.size() - last.size());
}

const char* foreign_scheme(const StoredNames& names, const TensorInfo& info) {
  for (const ForeignScheme& scheme : kForeignSchemes) {
    const auto module = module_before(info.name, scheme.codes);
    if (!module) continue;
    const auto is_there = [&](std::string_view name) {
      return !name.empty() && names.find(*module + std::string(name)).has_value();
    };
    if (std::ranges::any_of(scheme.beside, is_there)) return scheme.name;
  }
  return nullptr;
}

}  // namespace

Status check_no_foreign_scheme(const StoredNames& names) {
  for (size_t i = 0; i < names.source().tensors().size(); ++i) {
    const TensorInfo& info = names.info(i);
    if (!may_hold_codes(info)) continue;
    if (const char* scheme = foreign_scheme(names, info))
      return names.misfit(i, fmt::format("quantised by {}, whose codes are not known here; give the model "
                                         "from before quantisation, or keep all (--keep .)",
                                         scheme));
  }
  return Status::ok();
}

std::string family_of(const TensorInfo& codes) {
  const std::string& name = codes.name;
  if (name.ends_with(".qweight")) return "GPTQ or AWQ";
  if (name.ends_with(".weight_packed")) return "compressed-tensors";
  if (name.ends_with("_blocks")) return "MXFP4";
  if (codes.dtype == Dtype::kU32) return "MLX";
  return "";
}

}  // namespace llmcodec
