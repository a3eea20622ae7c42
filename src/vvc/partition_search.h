// SPDX-License-Identifier: BSD-3-Clause
// Whether a 32x32 block of noise is coded whole, in halves, or in a quarter, a half and a quarter.
//
// Why split noise? No partition is better than another on average: each more block costs about ten bits. But
// the cost of a block in one basis differs from that in another by 17 to 22 bits of standard deviation, and
// the least of five is clearly below the mean. That is worth 0.05 to 0.08 dB at 1.5 to 4 bits
// (docs/decisions/031-spatial-partitions.md), and it is all that VVenC's presets win over a fixed 32x32 grid
// on noise.
//
//   PartitionSearch search(source.view(), quantizer);
//   Split split = search.choose(node, {picture.view(), &map, scope, encoder.contexts()});
#pragma once

#include <cstdint>

#include "llmcodec/plane.h"
#include "vvc/block_quantizer.h"
#include "vvc/partition.h"

namespace llmcodec::vvc {

class PartitionSearch {
 public:
  // Sides of coding blocks that this search makes: the least that the parameter sets must allow.
  static constexpr int kLog2Node = 5, kLog2MinBlock = 3;

  // What surrounds the node.
  struct Surroundings {
    MutablePlaneView picture;  // decoded up to the node; the node's own samples are overwritten
    CuMap* map = nullptr;      // scope.map; unchanged outside the node, and the node is left as not decoded
    NeighbourScope scope;
    const ContextSet* contexts = nullptr;
    int ctu_size = 128;
  };

  // Views both, which must outlive it.
  PartitionSearch(PlaneView source, BlockQuantizer& quantizer) : source_(source), quantizer_(quantizer) {}

  // The cheapest way for a 32x32 node: kNone, binary or ternary. Parts after the first are predicted from
  // source samples in place of decoded ones.
  Split choose(const CodingNode& node, const Surroundings& around);

 private:
  int64_t cost_of(const CodingNode& block, const Surroundings& around);
  int64_t cost_of_split(const CodingNode& node, Split split, const Surroundings& around);

  PlaneView source_;
  BlockQuantizer& quantizer_;
};

}  // namespace llmcodec::vvc
