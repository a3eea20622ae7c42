// SPDX-License-Identifier: BSD-3-Clause
// What SliceSyntax asks for while the spatial encoder writes a slice:
// partition, levels and reconstruction of every block.
//
// How it works. PartitionSearch finds partitions and levels of many 32x32 blocks at once, predicting from
// source samples. When a block's turn comes, its true prediction is known. Below the first row of a CTU it is
// one number, as the search's was, so that only the level at position 0 is new; in the first row decoded
// noise is pasted into it, and the trellis runs again.
//
// Example (const Plane& source, Plane& picture, CuMap& map, CabacEncoder& cabac, SliceParameters parameters):
//
//   SpatialBlocks blocks(source.view(), picture.view(), map, {.bit_depth = 10});
//   SliceSyntax syntax(cabac, parameters, map, blocks);
//   blocks.start_slice(parameters.slice, cabac);
//   syntax.start_substream();
//   const int qps[] = {30, 30};                                      // of each CTU of the row
//   blocks.start_row(0, qps);
//   for (int x = 0; x < 2; ++x) syntax.coding_tree_unit(x, 0);
//
// Views source, picture and map, which must outlive it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "llmcodec/plane.h"
#include "vvc/cabac/cabac_encoder.h"
#include "vvc/picture/partition.h"
#include "vvc/picture/reconstruct.h"
#include "vvc/residual/residual_syntax.h"
#include "vvc/slice/slice_syntax.h"
#include "vvc/spatial/block_quantizer.h"
#include "vvc/spatial/partition_search.h"
#include "vvc/stream/trace.h"
#include "vvc/trellis/averaged_contexts.h"

namespace llmcodec::vvc {

class SpatialBlocks {
 public:
  struct Options {
    int bit_depth = 10;
    int ctu_size = 128;
    double lambda = 0.40;
    TraceSink* trace = nullptr;
  };
  // Planes have the coded size, a multiple of 32.
  SpatialBlocks(PlaneView source, MutablePlaneView picture, CuMap& map, const Options& options);

  // `cabac` has the models of the slice's start, and writes it.
  void start_slice(uint16_t slice, CabacEncoder& cabac);
  // The source samples of this CTU row are there. `ctu_qp`: of each CTU.
  void start_row(uint32_t row, std::span<const int> ctu_qp);

  // Called by SliceSyntax.
  Split split(const CodingNode& node, const AllowedSplits& allowed);
  void coding_unit(CodingUnit& cu);
  void transform_unit(const CodingUnit& cu, TransformUnit& tu);
  ResidualInfo code_residual(CabacEncoder& bins, const TransformBlock& block) const;
  void finish(const CodingUnit& cu, const TransformUnit& tu);
  void element(const char* name, int value) {
    if (trace_ != nullptr) trace_->element(name, value);
  }

 private:
  void search_more();
  void next_node();

  MutablePlaneView picture_;
  CuMap& map_;
  int ctu_size_;
  BlockReconstructor reconstructor_;
  BlockQuantizer quantizer_;
  PartitionSearch search_;
  TraceSink* trace_;
  NeighbourScope scope_;
  CabacEncoder* cabac_ = nullptr;

  // Search: nodes of the row in coding order; those in [first_, searched_) have a choice.
  CuMap source_map_;  // the source, as far as it is there
  AveragedContexts prices_;
  std::vector<SearchNode> nodes_;
  size_t first_ = 0, searched_ = 0, next_ = 0;
  size_t batch_size_ = 1;  // doubles up to kMaxNodes: at first the models, and so prices, move fast
  const PartitionChoice* choice_ = nullptr;  // of the node at hand
  size_t split_ = 0, part_ = 0;              // the next of it

  alignas(32) int32_t levels_[32 * 32];  // of the block at hand, in raster order
};

}  // namespace llmcodec::vvc
