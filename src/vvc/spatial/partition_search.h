// SPDX-License-Identifier: BSD-3-Clause
// How 32x32 blocks of noise are split, and with which levels their parts are coded.
//
// Why split noise? No partition is better than another on average: each further block costs about ten bits.
// But the cost of a block in one basis differs from that in another by 17 to 22 bits
// of standard deviation, and the least of many is clearly below the mean.
// That is worth 0.05 to 0.1 dB at 1.5 to 4 bits (docs/decisions/031-spatial-partitions.md),
// and it is all that VVenC's presets win over a fixed 32x32 grid on noise.
//
// How it works. Binary and ternary splits down to sides of 8, kMaxDepth times. Blocks are predicted from
// source samples in place of decoded ones, so that none waits for another, and a block costs the same
// whatever splits lead to it: all blocks that can come up in up to 32 nodes are searched together, those of
// one shape in the lanes of one BatchTrellis (docs/decisions/034-spatial-batches.md). Then the cheapest tree
// of each node follows from the leaves up.
//
// Example (const Plane& source, const NeighbourScope& scope, const ContextSet& prices):
//
//   PartitionSearch search(source.view(), {.bit_depth = 10, .lambda = 0.4});
//   const SearchNode nodes[] = {{.x = 0, .y = 0, .qp = 30}, {.x = 32, .y = 0, .qp = 30}};
//   search.run(nodes, scope, prices);
//   const PartitionChoice& choice = search.choice(0);                // of nodes[0]
//
// Views the source, which must outlive it. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "llmcodec/plane.h"
#include "vvc/cabac/contexts.h"
#include "vvc/picture/intra_pred.h"
#include "vvc/picture/partition.h"
#include "vvc/spatial/block_coefficients.h"
#include "vvc/spatial/block_quantizer.h"
#include "vvc/trellis/trellis_batch.h"

namespace llmcodec::vvc {

// A block to be searched: inside the picture, position a multiple of 32.
struct SearchNode {
  int x = 0, y = 0;
  int qp = 0;
};

// The cheapest way to code one.
struct PartitionChoice {
  std::vector<Split> splits;       // of every node of its tree that may be split, in coding order
  std::vector<FoundLevels> parts;  // of its leaves, likewise
};

class PartitionSearch {
 public:
  // Sides of coding blocks that this search makes: the least that the parameter sets must allow.
  static constexpr int kLog2Node = 5, kLog2MinBlock = 3;
  static constexpr int kMaxDepth = 2;
  static constexpr size_t kMaxNodes = 32;

  struct Options {
    int bit_depth = 10;
    double lambda = 0.45;  // see TrellisOptions
    int ctu_size = 128;
  };
  PartitionSearch(PlaneView source, const Options& options);

  // 1 to kMaxNodes nodes. `scope` says which samples of the source will have been decoded before each block
  // (those of the nodes themselves too). Prices are taken from `contexts`.
  void run(std::span<const SearchNode> nodes, const NeighbourScope& scope, const ContextSet& contexts);
  // For each node of the last run(); valid until the next.
  const PartitionChoice& choice(size_t node) const { return choices_[node]; }

 private:
  // All blocks of one size, of all nodes: block `node * places.size() + place`.
  struct Shape {
    Shape(int log2_width_in, int log2_height_in, double lambda);
    size_t samples() const { return size_t{1} << (log2_width + log2_height); }
    int log2_width, log2_height;
    BatchTrellis trellis;
    struct Place {
      int x, y;
    };
    std::vector<Place> places;  // in the node
    std::vector<int32_t> coefficients, levels;
    std::vector<TrellisResult> results;
  };
  // A block of the tree of all splits, with its ways to be split.
  struct Option {
    Split split;
    int count;
    size_t child[3];  // in tree_, after the parent
  };
  struct TreeNode {
    size_t shape, place;
    CodingNode block;  // position in the node
    AllowedSplits allowed;
    std::vector<Option> options;
  };

  size_t add_to_tree(const CodingNode& block);
  void find_levels(Shape& shape, std::span<const SearchNode> nodes, const NeighbourScope& scope);
  void transform_block(const PredictionBlock& block, const NeighbourScope& scope, int32_t* out);
  void price_splits(const ContextSet& contexts);
  void choose(size_t node);
  void add_choice(size_t tree_node, size_t node, PartitionChoice& choice) const;

  PlaneView source_;
  Options options_;
  BlockCoefficients coefficients_of_;
  std::vector<Shape> shapes_;
  std::vector<TreeNode> tree_;                      // the root first
  std::vector<std::array<int64_t, 6>> split_cost_;  // by tree node and split
  std::vector<int64_t> cost_;                       // of the node at hand, by tree node
  std::vector<const Option*> best_;                 // likewise; null: not split
  std::array<PartitionChoice, kMaxNodes> choices_;
  alignas(32) uint16_t prediction_[32 * 32];
};

}  // namespace llmcodec::vvc
