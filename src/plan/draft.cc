// SPDX-License-Identifier: BSD-3-Clause
#include "plan/draft.h"

#include <algorithm>

#include "base/error.h"
#include "plan/plan_rules.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

// Below, headers and scales cost more than coding saves. Adapters are made of small and thin tensors.
constexpr uint64_t kMinCodableWeights = 4096, kMinAdapterWeights = 1024;
constexpr uint64_t kMinorShare =
    1000;  // small tensors of minor roles may take one part in so many of the source

// Why a tensor is kept if nobody asks for something else; empty when it is coded.
std::string default_reason(const TensorInfo& info) {
  if (const char* reason = kept_because(tensor_role(info))) return reason;
  const std::string reason = coding_obstacle(info);
  if (!reason.empty()) return reason;
  const MatrixShape shape = *tensor_matrices(info);
  const bool thin = std::min(shape.rows, shape.cols) < kMinCodableSide;
  if (tensor_role(info) == TensorRole::kAdapter) {
    if (thin && shape.rows * shape.cols > kMaxThinWeights) return "too thin to fill pictures";
    return info.elements() < kMinAdapterWeights ? "under 1024 weights" : "";
  }
  if (thin) return "a side is under 8";
  return info.elements() < kMinCodableWeights ? "under 4096 weights" : "";
}

// Convolutions, positions and unknown tensors are kept too, the smallest first, while together they are a thousandth of
// the source: they are read as they are by more programs, and coding them saves next to nothing.
void keep_small_ones(const std::vector<TensorInfo>& tensors, std::vector<TensorDraft>* drafts) {
  const auto bytes = [&](size_t i) {
    return dtype_bytes(tensors[i].dtype, tensors[i].elements()).value_or(0);
  };
  std::vector<size_t> minor;
  uint64_t total = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    total += bytes(i);
    if ((*drafts)[i].code && is_minor(tensor_role(tensors[i]))) minor.push_back(i);
  }
  std::ranges::stable_sort(minor, {}, bytes);
  uint64_t kept = 0;
  for (const size_t i : minor) {
    kept += bytes(i);
    if (kept > total / kMinorShare) return;
    (*drafts)[i].code = false;
    (*drafts)[i].reason = fmt::format("small {}", role_name(tensor_role(tensors[i])));
  }
}

// What the options say of every tensor.
Result<TensorDraft> draft_of_options(const CompressOptions& options) {
  TensorDraft draft;
  if (options.scales != "auto") LLMC_RETURN_IF_ERROR(ask_for_scales(options.scales, &draft));
  draft.asymmetric = options.asymmetric;
  draft.codec = options.codec;
  if (options.layout != "auto") {
    draft.layout = layout_from_name(options.layout);
    if (!draft.layout)
      return error(ErrorKind::kInvalidArgument, "layout '{}' is not known (auto, spatial, spectral)",
                   options.layout);
  }
  if (options.bit_depth != 0) draft.bit_depth = options.bit_depth;
  return draft;
}

}  // namespace

std::string coding_obstacle(const TensorInfo& info) {
  if (!dtype_info(info.dtype).floating) return "not floating point";
  return tensor_matrices(info) ? "" : "no matrix";
}

Result<std::vector<TensorDraft>> draft_plan(const std::vector<TensorInfo>& tensors,
                                            const CompressOptions& options) {
  LLMC_ASSIGN_OR_RETURN(const TensorDraft defaults, draft_of_options(options));
  LLMC_ASSIGN_OR_RETURN(PlanRules rules, PlanRules::parse(options));
  std::vector<TensorDraft> drafts;
  for (const TensorInfo& info : tensors) {
    TensorDraft draft = defaults;
    draft.name = info.name;
    draft.reason = default_reason(info);
    draft.code = draft.reason.empty();
    drafts.push_back(std::move(draft));
  }
  keep_small_ones(tensors, &drafts);
  for (size_t i = 0; i < tensors.size(); ++i) {
    LLMC_ASSIGN_OR_RETURN(const bool forced, rules.apply(&drafts[i]));
    const std::string obstacle = coding_obstacle(tensors[i]);
    if (forced && !obstacle.empty())
      return error(ErrorKind::kInvalidArgument, "a rule asks to code what cannot be coded: {}", obstacle)
          .in_tensor(tensors[i].name);
  }
  LLMC_RETURN_IF_ERROR(rules.check_all_matched());
  return drafts;
}

}  // namespace llmcodec
