// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/partition_search.h"

#include <algorithm>

#include "vvc/cabac_cost.h"
#include "vvc/trellis_rates.h"

namespace llmcodec::vvc {
namespace {

// intra_luma_ref_idx or intra_luma_mpm_flag, which are learned, and intra_luma_mpm_idx, one bypass bin.
constexpr int64_t kModeCost = kRateBit + kRateBit / 4;

constexpr Split kSplits[] = {Split::kNone, Split::kBinaryHorizontal, Split::kBinaryVertical,
                             Split::kTernaryHorizontal, Split::kTernaryVertical};

constexpr int number_of_parts(Split split) {
  return split == Split::kNone ? 1 : is_ternary(split) ? 3 : 2;
}

ChildNodes parts_of(const CodingNode& node, Split split) {
  if (split != Split::kNone) return split_node(node, split, false, 0);
  ChildNodes whole;
  whole.node[whole.count++] = node;
  return whole;
}

int64_t flag_cost(const ContextSet& contexts, int context, int value) {
  return to_rate(bin_cost(contexts[static_cast<size_t>(context)].slow_probability(), value));
}

// split_cu_flag, mtt_split_cu_vertical_flag, mtt_split_cu_binary_flag. The neighbours' sizes, which choose
// among the models of the first two, are not looked at: the models differ by less than the search's gain
// depends on.
int64_t split_cost(const ContextSet& contexts, Split split) {
  constexpr int kFourChoices = ctx::kSplitCuFlag + 3 + 1;
  if (split == Split::kNone) return flag_cost(contexts, kFourChoices, 0);
  const bool vertical = split == Split::kBinaryVertical || split == Split::kTernaryVertical;
  return flag_cost(contexts, kFourChoices, 1) + flag_cost(contexts, ctx::kMttSplitCuVerticalFlag, vertical) +
         flag_cost(contexts, ctx::kMttSplitCuBinaryFlag + 2 * vertical + 1, !is_ternary(split));
}

}  // namespace

PartitionSearch::Shape::Shape(int log2_width_in, int log2_height_in, int slots_in, double lambda)
    : log2_width(log2_width_in),
      log2_height(log2_height_in),
      slots(slots_in),
      trellis(log2_width_in, log2_height_in, {.lambda = lambda}),
      coefficients(kMaxNodes * static_cast<size_t>(slots * samples())),
      levels(coefficients.size()),
      results(kMaxNodes * static_cast<size_t>(slots)) {}

PartitionSearch::PartitionSearch(PlaneView source, const Options& options)
    : source_(source),
      options_(options),
      coefficients_of_(options.bit_depth),
      shapes_{Shape(5, 5, 1, options.lambda), Shape(5, 4, 3, options.lambda), Shape(5, 3, 2, options.lambda),
              Shape(4, 5, 3, options.lambda), Shape(3, 5, 2, options.lambda)} {}

// Halves of 32x16 stand in slots 0 and 1, the middle one of a ternary split in slot 2.
PartitionSearch::Place PartitionSearch::place_of(Split split, int part) {
  const bool vertical = split == Split::kBinaryVertical || split == Split::kTernaryVertical;
  const int halves = vertical ? 3 : 1, quarters = halves + 1;
  if (split == Split::kNone) return {0, 0};
  if (!is_ternary(split)) return {halves, part};
  return part == 1 ? Place{halves, 2} : Place{quarters, part / 2};
}

// Residual and coefficients of one block.
void PartitionSearch::transform_block(const CodingNode& block, const NeighbourScope& scope, int32_t* out) {
  const auto width = static_cast<size_t>(block.width()), height = static_cast<size_t>(block.height());
  ReferenceSamples references;
  references.fetch(source_, scope,
                   {.x = block.x,
                    .y = block.y,
                    .log2_width = block.log2_width,
                    .log2_height = block.log2_height,
                    .ref_idx = noise_reference_line(block.y, options_.ctu_size)},
                   options_.bit_depth);
  predict_intra(references, kIntraDc, options_.bit_depth, {prediction_, height, width});
  for (size_t y = 0; y < height; ++y) {
    const uint16_t* source = &source_.at(static_cast<size_t>(block.y) + y, static_cast<size_t>(block.x));
    for (size_t x = 0; x < width; ++x)
      residual_[y * width + x] = static_cast<int16_t>(source[x] - prediction_[y * width + x]);
  }
  coefficients_of_.transform(residual_, block.log2_width, block.log2_height, out);
}

// All blocks of a node.
void PartitionSearch::transform(const SearchNode& node, size_t index, const NeighbourScope& scope) {
  coefficients_of_.set_qp(node.qp);
  CodingNode whole;
  whole.x = node.x, whole.y = node.y;
  for (const Split split : kSplits) {
    const ChildNodes parts = parts_of(whole, split);
    for (int part = 0; part < parts.count; ++part) {
      const Place place = place_of(split, part);
      Shape& shape = shapes_[static_cast<size_t>(place.shape)];
      const size_t block = index * static_cast<size_t>(shape.slots) + static_cast<size_t>(place.slot);
      transform_block(parts.node[part], scope,
                      &shape.coefficients[block * static_cast<size_t>(shape.samples())]);
    }
  }
}

void PartitionSearch::quantize(Shape& shape, size_t nodes, const ContextSet& contexts) {
  shape.trellis.set_rates(contexts);
  const size_t blocks = nodes * static_cast<size_t>(shape.slots), size = static_cast<size_t>(shape.samples());
  for (size_t first = 0; first < blocks; first += BatchTrellis::kMaxBlocks) {
    const size_t count = std::min<size_t>(BatchTrellis::kMaxBlocks, blocks - first);
    shape.trellis.quantize(std::span(shape.coefficients).subspan(first * size, count * size), shape.samples(),
                           std::span(shape.levels).subspan(first * size, count * size),
                           std::span(shape.results).subspan(first, count));
  }
}

PartitionChoice PartitionSearch::cheapest(size_t node, const ContextSet& contexts) const {
  PartitionChoice best;
  int64_t least = INT64_MAX;
  for (const Split split : kSplits) {
    PartitionChoice choice;
    choice.split = split;
    int64_t cost = split_cost(contexts, split);
    for (int part = 0; part < number_of_parts(split); ++part) {
      const Place place = place_of(split, part);
      const Shape& shape = shapes_[static_cast<size_t>(place.shape)];
      const size_t block = node * static_cast<size_t>(shape.slots) + static_cast<size_t>(place.slot);
      const TrellisResult& result = shape.results[block];
      const auto size = static_cast<size_t>(shape.samples());
      choice.part[part] = {std::span(shape.levels).subspan(block * size, size), result.last,
                           result.final_state};
      cost += result.cost + kModeCost;
    }
    if (cost >= least) continue;
    least = cost;
    best = choice;
  }
  return best;
}

void PartitionSearch::run(std::span<const SearchNode> nodes, const NeighbourScope& scope,
                          const ContextSet& contexts) {
  for (size_t i = 0; i < nodes.size(); ++i) transform(nodes[i], i, scope);
  for (Shape& shape : shapes_) quantize(shape, nodes.size(), contexts);
  for (size_t i = 0; i < nodes.size(); ++i) choices_[i] = cheapest(i, contexts);
}

}  // namespace llmcodec::vvc
