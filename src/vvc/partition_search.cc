// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/partition_search.h"

#include <algorithm>

#include "vvc/cabac_cost.h"
#include "vvc/trellis_rates.h"

namespace llmcodec::vvc {
namespace {

// intra_luma_ref_idx or intra_luma_mpm_flag, which are learned, and intra_luma_mpm_idx, one bypass bin.
constexpr int64_t kModeCost = kRateBit + kRateBit / 4;

int64_t flag_cost(const ContextSet& contexts, int context, int value) {
  return to_rate(bin_cost(contexts[static_cast<size_t>(context)].slow_probability(), value));
}

// split_cu_flag with four choices (third set); the neighbours' sizes, which choose among its three models,
// are not looked at: the models differ by less than the search's gain depends on.
int64_t split_flag_cost(const ContextSet& contexts, int value) {
  return flag_cost(contexts, ctx::kSplitCuFlag + 3 + 1, value);
}

// split_cu_flag, mtt_split_cu_vertical_flag, mtt_split_cu_binary_flag
int64_t split_cost(const ContextSet& contexts, Split split) {
  const bool vertical = split == Split::kBinaryVertical || split == Split::kTernaryVertical;
  return split_flag_cost(contexts, 1) + flag_cost(contexts, ctx::kMttSplitCuVerticalFlag, vertical) +
         flag_cost(contexts, ctx::kMttSplitCuBinaryFlag + 2 * vertical + 1, !is_ternary(split));
}

}  // namespace

int64_t PartitionSearch::cost_of(const CodingNode& block, const Surroundings& around) {
  const PredictionBlock place{.x = block.x,
                              .y = block.y,
                              .log2_width = block.log2_width,
                              .log2_height = block.log2_height,
                              .ref_idx = noise_reference_line(block.y, around.ctu_size)};
  const int64_t cost = quantizer_.quantize(place, around.scope, *around.contexts).cost;
  // Stands for the decoded block where later parts are predicted from it.
  for (int y = 0; y < block.height(); ++y) {
    const uint16_t* source = &source_.at(static_cast<size_t>(block.y + y), static_cast<size_t>(block.x));
    std::copy_n(source, block.width(),
                &around.picture.at(static_cast<size_t>(block.y + y), static_cast<size_t>(block.x)));
  }
  around.map->fill(block.x, block.y, block.width(), block.height(), {.slice = around.scope.slice});
  return cost + kModeCost;
}

int64_t PartitionSearch::cost_of_split(const CodingNode& node, Split split, const Surroundings& around) {
  const ChildNodes parts = split_node(node, split, false, 0);
  int64_t cost = split_cost(*around.contexts, split);
  around.map->fill(node.x, node.y, node.width(), node.height(), {});
  for (int i = 0; i < parts.count; ++i) cost += cost_of(parts.node[i], around);
  return cost;
}

Split PartitionSearch::choose(const CodingNode& node, const Surroundings& around) {
  Split best = Split::kNone;
  int64_t least = cost_of(node, around) + split_flag_cost(*around.contexts, 0);
  for (const Split split : {Split::kBinaryHorizontal, Split::kBinaryVertical, Split::kTernaryHorizontal,
                            Split::kTernaryVertical}) {
    const int64_t cost = cost_of_split(node, split, around);
    if (cost >= least) continue;
    least = cost;
    best = split;
  }
  around.map->fill(node.x, node.y, node.width(), node.height(), {});
  return best;
}

}  // namespace llmcodec::vvc
