// SPDX-License-Identifier: BSD-3-Clause
#include "plan/draft.h"

#include "base/error.h"
#include "plan/plan_rules.h"
#include "tensor/matrix_shape.h"

namespace llmcodec {
namespace {

// Why a tensor is kept if nobody asks for something else; empty when it is coded.
std::string default_reason(const TensorInfo& info) {
  const std::string reason = coding_obstacle(info);
  if (!reason.empty()) return reason;
  return is_codable(info.shape) ? "" : "under 4096 weights";
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
  const auto shape = matrix_shape(info.shape);
  if (!shape) return "no matrix";
  if (shape->rows < kMinCodableSide || shape->cols < kMinCodableSide) return "a side is under 8";
  return "";
}

Result<std::vector<TensorDraft>> draft_plan(const std::vector<TensorInfo>& tensors,
                                            const CompressOptions& options) {
  LLMC_ASSIGN_OR_RETURN(const TensorDraft defaults, draft_of_options(options));
  LLMC_ASSIGN_OR_RETURN(PlanRules rules, PlanRules::parse(options.set, options.keep));
  std::vector<TensorDraft> drafts;
  for (const TensorInfo& info : tensors) {
    TensorDraft draft = defaults;
    draft.name = info.name;
    draft.reason = default_reason(info);
    draft.code = draft.reason.empty();
    LLMC_ASSIGN_OR_RETURN(const bool forced, rules.apply(&draft));
    const std::string obstacle = coding_obstacle(info);
    if (forced && !obstacle.empty())
      return error(ErrorKind::kInvalidArgument, "--set asks to code what cannot be coded: {}", obstacle)
          .in_tensor(info.name);
    drafts.push_back(std::move(draft));
  }
  LLMC_RETURN_IF_ERROR(rules.check_all_matched());
  return drafts;
}

}  // namespace llmcodec
