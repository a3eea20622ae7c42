// SPDX-License-Identifier: BSD-3-Clause
#include "plan/resolve.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "plan/draft.h"
#include "plane/fold.h"
#include "quant/affine.h"
#include "quant/portable_math.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

constexpr uint64_t kThinSide = 16;

Result<Layout> resolve_layout(const TensorDraft& draft, const CodecInfo& codec) {
  const bool spectral = codec.name == "vvc";
  const Layout layout = draft.layout.value_or(spectral ? Layout::kSpectral : Layout::kSpatial);
  if (layout == Layout::kSpectral && !spectral)
    return error(ErrorKind::kInvalidArgument, "the spectral layout needs codec vvc, not {}", codec.name);
  return layout;
}

// The deepest planes up to 10 bits. Raw samples have no other knob: as deep as the target pays for, one bit
// left for everything else.
uint32_t default_depth(const CodecInfo& codec, const Target& target) {
  const bool sized = target.kind == TargetKind::kBpw && codec.name == "raw";
  const uint32_t wanted = sized ? static_cast<uint32_t>(std::clamp(target.value, 8.0, 16.0)) : 10;
  uint32_t found = 0;
  for (const uint32_t depth : codec.bit_depths) found = depth <= wanted ? depth : found;
  return found;
}

Result<uint32_t> resolve_depth(const TensorDraft& draft, const CodecInfo& codec, const Target& target) {
  const uint32_t depth = draft.bit_depth.value_or(default_depth(codec, target));
  if (depth < kMinSampleBits || depth > kMaxSampleBits)
    return error(ErrorKind::kInvalidArgument, "samples of weights have {} to {} bits, not {}", kMinSampleBits,
                 kMaxSampleBits, depth);
  if (std::ranges::find(codec.bit_depths, depth) == codec.bit_depths.end())
    return error(ErrorKind::kInvalidArgument, "{} takes planes of {} bits, not {}", codec.name,
                 fmt::join(codec.bit_depths, ", "), depth);
  return depth;
}

// Scales of the long side of a thin matrix would cost more than they save: a byte for every few weights.
bool is_thin(const MatrixShape& shape) {
  return std::min(shape.rows, shape.cols) <= kThinSide;
}

// Thin matrices and factors are folded along the lines that have scales. Shorter lines would be no fuller blocks.
Lines resolve_lines(const TensorPlan& plan, const TensorFacts& facts) {
  constexpr uint64_t kShortestLine = 64;
  const MatrixShape& shape = facts.shape;
  const uint64_t most_lines = facts.factor ? kMaxLines : kThinSide;
  if (plan.layout != Layout::kSpectral || shape.rows * shape.cols > kMaxThinWeights) return Lines::kNone;
  if (plan.scales.kind == ScaleKind::kRow && shape.rows <= most_lines && shape.cols >= kShortestLine)
    return Lines::kRows;
  if (plan.scales.kind == ScaleKind::kColumn && shape.cols <= most_lines && shape.rows >= kShortestLine)
    return Lines::kColumns;
  return Lines::kNone;
}

// A factor of a low-rank update has one scale for each component of the update, as the product asks for it, however
// large its weights are (docs/decisions/048-adapters.md).
void resolve_factor_scales(const TensorDraft& draft, const TensorFacts& facts, TensorPlan* plan) {
  const ScaleKind kind = facts.outputs_known ? ScaleKind::kRow : ScaleKind::kColumn;
  plan->scales = draft.scales.value_or(ScaleSpec{kind, 0});
  plan->row_exponent = draft.row_exponent.value_or(0);
  plan->column_exponent = draft.column_exponent.value_or(0);
}

// By how much coarser the step of a head whose inputs are known is, where what the layers' outputs do is not measured, so that
// damage does not say it: finer than the rest, but the larger the vocabulary, the more seldom a row of it decides
// (docs/decisions/022-embedding-bits.md, 025, 058, 062).
double known_head_octaves(uint64_t tokens, bool closed_loop) {
  constexpr double kTokens = 49152, kPerOctave = 0.25;
  const double octaves = closed_loop ? -0.75 : -0.8;
  const double larger = std::max(1.0, static_cast<double>(tokens) / kTokens);
  return std::min(0.0, octaves + kPerOctave * portable_log2(larger));
}

// Output heads (and embeddings, often the same tensor) read hidden states of which a few dimensions are
// hundreds of times as strong as the rest; dual scales take just these for coarse ones. Row scales do not,
// until the inputs are known. Then most of a head's columns are nearly empty, and at the step of the others
// it would get a bit less than it is worth (docs/decisions/022-embedding-bits.md).
void resolve_scales(const TensorDraft& draft, const TensorFacts& facts, const PlanFacts& model,
                    TensorPlan* plan) {
  constexpr double kRowExponent = 0.5;                // docs/decisions/021-row-scales.md
  constexpr double kRowExponentBesideOutputs = 0.25;  // docs/decisions/024-output-moments.md
  constexpr double kColumnExponent = 0.8, kTokenRank = 0.75;
  const bool vocabulary = is_vocabulary(std::string_view(draft.name).substr(facts.folder_bytes));
  const bool thin = is_thin(facts.shape);
  const bool by_rows = (vocabulary && !facts.inputs_known) || thin;
  const ScaleKind across = thin && facts.shape.cols < facts.shape.rows ? ScaleKind::kColumn : ScaleKind::kRow;
  if (facts.factor) return resolve_factor_scales(draft, facts, plan);
  plan->scales = draft.scales.value_or(ScaleSpec{by_rows ? across : ScaleKind::kDual, 0});
  const double row_exponent = facts.outputs_known ? kRowExponentBesideOutputs : kRowExponent;
  plan->row_exponent = draft.row_exponent.value_or(by_rows ? 1 : row_exponent);
  plan->column_exponent = draft.column_exponent.value_or(by_rows ? 1 : kColumnExponent);
  plan->token_rank = draft.token_rank.value_or(vocabulary ? kTokenRank : 0);
  const bool dual_head = vocabulary && !draft.scales && facts.inputs_known;
  if (vocabulary && !plan->step_octaves && !(dual_head && model.outputs_measured))
    plan->step_octaves = dual_head ? known_head_octaves(facts.shape.rows, model.closed_loop) : 0;
}

// Pictures of what is too large to be folded and too thin to fill blocks would be padding, up to 31 parts of 32, and so
// would the memory that they take.
Status check_padding(const TensorPlan& plan, const MatrixShape& shape) {
  const bool thin = std::min(shape.rows, shape.cols) < kMinCodableSide;
  const bool is_padding = thin && shape.rows * shape.cols > kMaxThinWeights;
  if (plan.layout != Layout::kSpectral || !is_padding) return Status::ok();
  return error(
      ErrorKind::kInvalidArgument,
      "a matrix of {} x {} is too thin for the spectral layout, which takes sides under {} up to {} weights: "
      "store it exactly (--keep), or as codec raw",
      shape.rows, shape.cols, kMinCodableSide, kMaxThinWeights);
}

Result<TensorPlan> resolve_tensor(const TensorDraft& draft, const TensorFacts& facts,
                                  const PlanFacts& model) {
  TensorPlan plan;
  plan.name = draft.name;
  plan.code = draft.code;
  plan.reason = draft.reason;
  if (!plan.code) return plan;
  plan.codec = draft.codec;
  plan.asymmetric = draft.asymmetric;
  plan.step_octaves = draft.step_octaves;
  LLMC_ASSIGN_OR_RETURN(plan.layout, resolve_layout(draft, *facts.codec));
  LLMC_ASSIGN_OR_RETURN(plan.bit_depth, resolve_depth(draft, *facts.codec, model.target));
  resolve_scales(draft, facts, model, &plan);
  plan.lines = resolve_lines(plan, facts);
  LLMC_RETURN_IF_ERROR(check_padding(plan, facts.shape));
  return plan;
}

}  // namespace

Result<Plan> resolve(const std::vector<TensorDraft>& drafts, const PlanFacts& facts) {
  Plan plan;
  for (size_t i = 0; i < drafts.size(); ++i) {
    auto tensor = resolve_tensor(drafts[i], facts.tensors[i], facts);
    if (!tensor.is_ok()) return std::move(tensor).error().in_tensor(drafts[i].name);
    plan.tensors.push_back(std::move(tensor).value());
  }
  return plan;
}

namespace {

// Octaves of the tensors that are factors, or of those that are not, by this share of what equal slope asks for. The
// mean over the layers' weights is 0 in each part: embeddings whose damage is unknown are as fine as the mean layer, with a
// head beside them or without.
void share_octaves(const Plan& plan, std::span<const TensorCost> costs, bool factors, double share,
                   std::vector<double>* octaves) {
  const auto asks = [&](size_t i) {
    return plan.tensors[i].code && !plan.tensors[i].step_octaves && costs[i].damage.value_or(0) > 0 &&
           costs[i].factor == factors;
  };
  const auto wanted = [&](size_t i) { return -share / 2 * portable_log2(*costs[i].damage); };
  struct Sum {
    double wanted = 0, weights = 0;
  };
  std::map<std::string_view, Sum> sums;  // by part
  for (size_t i = 0; i < costs.size(); ++i) {
    if (!asks(i) || costs[i].vocabulary) continue;
    Sum& sum = sums[costs[i].part];
    sum.wanted += wanted(i) * costs[i].weights;
    sum.weights += costs[i].weights;
  }
  for (size_t i = 0; i < costs.size(); ++i) {
    if (!asks(i)) continue;
    const Sum& sum = sums[costs[i].part];
    (*octaves)[i] = sum.weights > 0 ? wanted(i) - sum.wanted / sum.weights : 0;
  }
}

}  // namespace

std::vector<double> octaves_by_damage(const Plan& plan, std::span<const TensorCost> costs) {
  // Of the damage to a model, half of what the linear theory asks for is better at two or three bits
  // (docs/decisions/024-output-moments.md). The error of a product is what the theory says (048).
  constexpr double kModelShare = 0.5, kProductShare = 1;
  std::vector<double> octaves;
  for (const TensorPlan& tensor : plan.tensors) octaves.push_back(tensor.step_octaves.value_or(0));
  share_octaves(plan, costs, false, kModelShare, &octaves);
  share_octaves(plan, costs, true, kProductShare, &octaves);
  return octaves;
}

}  // namespace llmcodec
