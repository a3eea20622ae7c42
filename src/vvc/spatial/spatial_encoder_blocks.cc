// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spatial/spatial_encoder_blocks.h"

#include <algorithm>

#include "vvc/residual/residual_encoder.h"

namespace llmcodec::vvc {
namespace {

constexpr int kNode = 1 << PartitionSearch::kLog2Node;

// Every second bit of `index`, from bit `first` on: a coordinate in coding order.
int deinterleave(int index, int first) {
  int out = 0;
  for (int bit = 0; bit < 8; ++bit) out |= (index >> (2 * bit + first) & 1) << bit;
  return out;
}

}  // namespace

SpatialBlocks::SpatialBlocks(PlaneView source, MutablePlaneView picture, CuMap& map, const Options& options)
    : picture_(picture),
      map_(map),
      ctu_size_(options.ctu_size),
      reconstructor_(picture, options.bit_depth),
      quantizer_(source, picture, {.bit_depth = options.bit_depth, .lambda = options.lambda}),
      search_(source,
              {.bit_depth = options.bit_depth, .lambda = options.lambda, .ctu_size = options.ctu_size}),
      trace_(options.trace),
      source_map_(static_cast<int>(picture.cols), static_cast<int>(picture.rows)),
      prices_(initial_contexts(0)) {}

void SpatialBlocks::start_slice(uint16_t slice, CabacEncoder& cabac) {
  scope_ = {.map = &map_, .slice = slice, .right_limit = static_cast<int>(picture_.cols)};
  if (cabac_ == nullptr) prices_ = AveragedContexts(cabac.contexts());
  cabac_ = &cabac;
}

void SpatialBlocks::start_row(uint32_t row, std::span<const int> ctu_qp) {
  const int top = static_cast<int>(row) * ctu_size_, in_row = ctu_size_ / kNode;
  const int width = static_cast<int>(picture_.cols), height = static_cast<int>(picture_.rows);
  source_map_.fill(0, top, width, ctu_size_, {.slice = scope_.slice});
  nodes_.clear();
  for (size_t ctu = 0; ctu < ctu_qp.size(); ++ctu)
    for (int i = 0; i < in_row * in_row; ++i) {
      const int x = static_cast<int>(ctu) * ctu_size_ + deinterleave(i, 0) * kNode;
      const int y = top + deinterleave(i, 1) * kNode;
      if (x < width && y < height) nodes_.push_back({x, y, ctu_qp[ctu]});
    }
  first_ = searched_ = next_ = 0;
}

// The next nodes of the row, with the prices of this moment.
void SpatialBlocks::search_more() {
  first_ = searched_;
  searched_ = std::min(nodes_.size(), first_ + batch_size_);
  batch_size_ = std::min(2 * batch_size_, PartitionSearch::kMaxNodes);
  NeighbourScope scope = scope_;
  scope.map = &source_map_;
  search_.run(std::span(nodes_).subspan(first_, searched_ - first_), scope, prices_.contexts());
}

void SpatialBlocks::next_node() {
  if (next_ > 0) prices_.add(cabac_->contexts());
  if (next_ == searched_) search_more();
  choice_ = &search_.choice(next_ - first_);
  split_ = part_ = 0;
  quantizer_.set_qp(nodes_[next_].qp);
  ++next_;
}

Split SpatialBlocks::split(const CodingNode& node, const AllowedSplits&) {
  if (node.log2_width > PartitionSearch::kLog2Node) return Split::kQuad;
  if (node.mtt_depth == 0) next_node();
  return choice_->splits[split_++];
}

void SpatialBlocks::coding_unit(CodingUnit& cu) {
  cu.ref_idx = noise_reference_line(cu.y, ctu_size_);
  cu.mode = kIntraDc;
  cu.qp = quantizer_.qp();
}

void SpatialBlocks::transform_unit(const CodingUnit& cu, TransformUnit& tu) {
  const PredictionBlock block{.x = tu.x,
                              .y = tu.y,
                              .log2_width = tu.log2_width,
                              .log2_height = tu.log2_height,
                              .ref_idx = cu.ref_idx};
  const FoundLevels& found = choice_->parts[part_++];
  if (block.ref_idx > 0)
    quantizer_.adapt(block, scope_, found);
  else
    quantizer_.quantize(block, scope_, cabac_->contexts());
  std::fill_n(levels_, size_t{1} << (tu.log2_width + tu.log2_height), 0);
  const ScanOrder& scan = scan_order(tu.log2_width, tu.log2_height);
  for (int n = 0; n <= quantizer_.last(); ++n)
    levels_[scan[n].raster] = quantizer_.levels()[static_cast<size_t>(n)];
  tu.levels = levels_;
  tu.last = quantizer_.last();
  tu.coded = quantizer_.last() >= 0;
}

ResidualInfo SpatialBlocks::code_residual(CabacEncoder& bins, const TransformBlock& block) const {
  encode_residual_in_scan_order(bins, block.log2_width, block.log2_height, quantizer_.levels().data(),
                                quantizer_.last());
  return {.last_scan_position = quantizer_.last()};
}

void SpatialBlocks::finish(const CodingUnit& cu, const TransformUnit& tu) {
  if (trace_ != nullptr) trace_transform_unit(*trace_, cu, tu);
  if (tu.coded)
    reconstructor_.add_residual({tu.x, tu.y, tu.log2_width, tu.log2_height, tu.levels, tu.last, cu.qp});
}

}  // namespace llmcodec::vvc
