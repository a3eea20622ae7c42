// SPDX-License-Identifier: BSD-3-Clause
// Whether 32x32 blocks of noise are coded whole, in halves, or in a quarter, a half and a quarter; and with
// which levels.
//
// Why split noise? No partition is better than another on average: each more block costs about ten bits. But
// the cost of a block in one basis differs from that in another by 17 to 22 bits of standard deviation, and
// the least of five is clearly below the mean. That is worth 0.05 to 0.08 dB at 1.5 to 4 bits
// (docs/decisions/031-spatial-partitions.md), and it is all that VVenC's presets win over a fixed 32x32 grid
// on noise.
//
// How it works. Blocks are predicted from source samples in place of decoded ones, so that no block waits for
// another: all parts of up to 32 blocks are searched together, those of one shape in the lanes of one
// BatchTrellis (docs/decisions/034-spatial-batches.md).
//
//   PartitionSearch search(source.view(), {.bit_depth = 10, .lambda = 0.4});
//   search.run(nodes, scope, prices);
//   search.choice(0).split, search.choice(0).part[0].levels ...
//
// Views the source, which must outlive it. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "llmcodec/plane.h"
#include "vvc/block_coefficients.h"
#include "vvc/block_quantizer.h"
#include "vvc/contexts.h"
#include "vvc/intra_pred.h"
#include "vvc/partition.h"
#include "vvc/trellis_batch.h"

namespace llmcodec::vvc {

// A block to be searched: inside the picture, position a multiple of 32.
struct SearchNode {
  int x = 0, y = 0;
  int qp = 0;
};

// The cheapest way to code one.
struct PartitionChoice {
  Split split = Split::kNone;  // or binary or ternary
  FoundLevels part[3];         // of its parts in coding order
};

class PartitionSearch {
 public:
  // Sides of coding blocks that this search makes: the least that the parameter sets must allow.
  static constexpr int kLog2Node = 5, kLog2MinBlock = 3;
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
  // All blocks of one shape, of all nodes: block `node * slots + slot`.
  struct Shape {
    Shape(int log2_width_in, int log2_height_in, int slots_in, double lambda);
    int samples() const { return 1 << (log2_width + log2_height); }
    int log2_width, log2_height;
    int slots;  // blocks of this shape in each node
    BatchTrellis trellis;
    std::vector<int32_t> coefficients, levels;
    std::vector<TrellisResult> results;
  };
  // A block among those of its shape.
  struct Place {
    int shape, slot;
  };

  static Place place_of(Split split, int part);
  void transform(const SearchNode& node, size_t index, const NeighbourScope& scope);
  void transform_block(const CodingNode& block, const NeighbourScope& scope, int32_t* out);
  void quantize(Shape& shape, size_t nodes, const ContextSet& contexts);
  PartitionChoice cheapest(size_t node, const ContextSet& contexts) const;

  PlaneView source_;
  Options options_;
  BlockCoefficients coefficients_of_;
  std::array<Shape, 5> shapes_;
  std::array<PartitionChoice, kMaxNodes> choices_;
  alignas(32) uint16_t prediction_[32 * 32];
  alignas(32) int16_t residual_[32 * 32];
};

}  // namespace llmcodec::vvc
