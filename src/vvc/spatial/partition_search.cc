// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spatial/partition_search.h"

#include <algorithm>

#include "vvc/cabac/cabac_cost.h"
#include "vvc/trellis/trellis_rates.h"

namespace llmcodec::vvc {
namespace {

// intra_luma_ref_idx or intra_luma_mpm_flag, which are learned, and intra_luma_mpm_idx, one bypass bin.
constexpr int64_t kModeCost = kRateBit + kRateBit / 4;

constexpr Split kSplits[] = {Split::kBinaryHorizontal, Split::kBinaryVertical, Split::kTernaryHorizontal,
                             Split::kTernaryVertical};

bool is_allowed(const AllowedSplits& allowed, Split split) {
  return split == Split::kBinaryHorizontal    ? allowed.binary_horizontal
         : split == Split::kBinaryVertical    ? allowed.binary_vertical
         : split == Split::kTernaryHorizontal ? allowed.ternary_horizontal
                                              : allowed.ternary_vertical;
}

int64_t flag_cost(const ContextSet& contexts, int context, int value) {
  return to_rate(bin_cost(contexts[static_cast<size_t>(context)].slow_probability(), value));
}

// split_cu_flag, mtt_split_cu_vertical_flag, mtt_split_cu_binary_flag. The neighbours' sizes, which choose
// among the models of the first two, are not looked at: these models differ too little to change the choice.
int64_t split_cost(const ContextSet& contexts, const AllowedSplits& allowed, int depth, Split split) {
  const int horizontal = allowed.horizontal(), vertical = allowed.vertical();
  if (horizontal + vertical == 0) return 0;
  const int split_flag = ctx::kSplitCuFlag + 3 * ((horizontal + vertical - 1) / 2) + 1;
  if (split == Split::kNone) return flag_cost(contexts, split_flag, 0);
  int64_t cost = flag_cost(contexts, split_flag, 1);
  if (horizontal > 0 && vertical > 0) {
    const int inc = vertical == horizontal ? 0 : vertical < horizontal ? 3 : 4;
    cost += flag_cost(contexts, ctx::kMttSplitCuVerticalFlag + inc, is_vertical(split));
  }
  const bool both = is_vertical(split) ? allowed.vertical() == 2 : allowed.horizontal() == 2;
  if (both)
    cost += flag_cost(contexts, ctx::kMttSplitCuBinaryFlag + 2 * is_vertical(split) + (depth <= 1),
                      !is_ternary(split));
  return cost;
}

}  // namespace

PartitionSearch::Shape::Shape(int log2_width_in, int log2_height_in, double lambda)
    : log2_width(log2_width_in),
      log2_height(log2_height_in),
      trellis(log2_width_in, log2_height_in, {.lambda = lambda}),
      coefficients(BatchTrellis::kMaxBlocks * samples()) {}

PartitionSearch::PartitionSearch(PlaneView source, const Options& options)
    : source_(source), options_(options), coefficients_of_(options.bit_depth) {
  add_to_tree(CodingNode());
  for (Shape& shape : shapes_) {
    shape.levels.resize(kMaxNodes * shape.places.size() * shape.samples());
    shape.results.resize(kMaxNodes * shape.places.size());
  }
  split_cost_.resize(tree_.size());
  cost_.resize(tree_.size());
  best_.resize(tree_.size());
}

// Index of the block's tree node; its parts are added behind it.
size_t PartitionSearch::add_to_tree(const CodingNode& block) {
  constexpr PartitionConstraints kConstraints{.ctb_log2 = kLog2Node,
                                              .min_cb_log2 = kLog2MinBlock,
                                              .min_qt_log2 = kLog2Node,
                                              .max_bt_log2 = kLog2Node,
                                              .max_tt_log2 = kLog2Node,
                                              .max_mtt_depth = kMaxDepth};
  constexpr PictureSize kInside{1 << kLog2Node, 1 << kLog2Node};
  const auto shape = std::ranges::find_if(shapes_, [&](const Shape& s) {
    return s.log2_width == block.log2_width && s.log2_height == block.log2_height;
  });
  const auto shape_index = static_cast<size_t>(shape - shapes_.begin());
  if (shape == shapes_.end()) shapes_.emplace_back(block.log2_width, block.log2_height, options_.lambda);
  auto& places = shapes_[shape_index].places;
  const auto place =
      std::ranges::find_if(places, [&](const auto& p) { return p.x == block.x && p.y == block.y; });
  const auto place_index = static_cast<size_t>(place - places.begin());
  if (place == places.end()) places.push_back({block.x, block.y});

  const size_t index = tree_.size();
  const AllowedSplits allowed = allowed_splits(kConstraints, block, kInside);
  tree_.push_back({shape_index, place_index, block, allowed, {}});
  for (const Split split : kSplits) {
    if (!is_allowed(allowed, split)) continue;
    const ChildNodes parts = split_node(block, split, false, 0);
    Option option{split, parts.count, {}};
    for (int i = 0; i < parts.count; ++i) option.child[i] = add_to_tree(parts.node[i]);
    tree_[index].options.push_back(option);
  }
  return index;
}

// Coefficients of one block, predicted from source samples.
void PartitionSearch::transform_block(const PredictionBlock& block, const NeighbourScope& scope,
                                      int32_t* out) {
  const size_t width = size_t{1} << block.log2_width, height = size_t{1} << block.log2_height;
  ReferenceSamples references;
  references.fetch(source_, scope, block, options_.bit_depth);
  const MutablePlaneView prediction(prediction_, height, width);
  predict_intra(references, kIntraDc, options_.bit_depth, prediction);
  coefficients_of_.transform(
      source_.block(static_cast<size_t>(block.y), static_cast<size_t>(block.x), height, width), prediction,
      out);
}

// Levels and costs of all blocks of a shape.
void PartitionSearch::find_levels(Shape& shape, std::span<const SearchNode> nodes,
                                  const NeighbourScope& scope) {
  const size_t places = shape.places.size(), blocks = nodes.size() * places, size = shape.samples();
  for (size_t first = 0; first < blocks; first += BatchTrellis::kMaxBlocks) {
    const size_t count = std::min<size_t>(BatchTrellis::kMaxBlocks, blocks - first);
    for (size_t i = 0; i < count; ++i) {
      const SearchNode& node = nodes[(first + i) / places];
      const auto& place = shape.places[(first + i) % places];
      coefficients_of_.set_qp(node.qp);
      transform_block({.x = node.x + place.x,
                       .y = node.y + place.y,
                       .log2_width = shape.log2_width,
                       .log2_height = shape.log2_height,
                       .ref_idx = noise_reference_line(node.y + place.y, options_.ctu_size)},
                      scope, &shape.coefficients[i * size]);
    }
    shape.trellis.quantize(std::span(shape.coefficients).first(count * size), static_cast<int>(size),
                           std::span(shape.levels).subspan(first * size, count * size),
                           std::span(shape.results).subspan(first, count));
  }
}

void PartitionSearch::price_splits(const ContextSet& contexts) {
  for (size_t i = 0; i < tree_.size(); ++i) {
    const TreeNode& t = tree_[i];
    const auto price = [&](Split split) { return split_cost(contexts, t.allowed, t.block.mtt_depth, split); };
    split_cost_[i][static_cast<size_t>(Split::kNone)] = price(Split::kNone);
    for (const Option& option : t.options)
      split_cost_[i][static_cast<size_t>(option.split)] = price(option.split);
  }
}

void PartitionSearch::add_choice(size_t tree_node, size_t node, PartitionChoice& choice) const {
  const TreeNode& t = tree_[tree_node];
  const Option* option = best_[tree_node];
  if (!t.options.empty()) choice.splits.push_back(option == nullptr ? Split::kNone : option->split);
  if (option == nullptr) {
    const Shape& shape = shapes_[t.shape];
    const size_t block = node * shape.places.size() + t.place, size = shape.samples();
    const TrellisResult& result = shape.results[block];
    choice.parts.push_back(
        {std::span(shape.levels).subspan(block * size, size), result.last, result.final_state});
    return;
  }
  for (int i = 0; i < option->count; ++i) add_choice(option->child[i], node, choice);
}

// The cheapest tree, from the leaves up.
void PartitionSearch::choose(size_t node) {
  for (size_t i = tree_.size(); i-- > 0;) {
    const TreeNode& t = tree_[i];
    const Shape& shape = shapes_[t.shape];
    cost_[i] = shape.results[node * shape.places.size() + t.place].cost + kModeCost +
               split_cost_[i][static_cast<size_t>(Split::kNone)];
    best_[i] = nullptr;
    for (const Option& option : t.options) {
      int64_t cost = split_cost_[i][static_cast<size_t>(option.split)];
      for (int part = 0; part < option.count; ++part) cost += cost_[option.child[part]];
      if (cost >= cost_[i]) continue;
      cost_[i] = cost;
      best_[i] = &option;
    }
  }
  choices_[node].splits.clear();
  choices_[node].parts.clear();
  add_choice(0, node, choices_[node]);
}

void PartitionSearch::run(std::span<const SearchNode> nodes, const NeighbourScope& scope,
                          const ContextSet& contexts) {
  for (Shape& shape : shapes_) {
    shape.trellis.set_rates(contexts);
    find_levels(shape, nodes, scope);
  }
  price_splits(contexts);
  for (size_t i = 0; i < nodes.size(); ++i) choose(i);
}

}  // namespace llmcodec::vvc
