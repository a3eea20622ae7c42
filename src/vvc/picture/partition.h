// SPDX-License-Identifier: BSD-3-Clause
// How a coding tree unit may be split, and what a decoder remembers of coding units
// for the contexts of later ones.
//
// Example (const Sps& sps, const PictureHeader& picture_header, const CodingNode& node, PictureSize size):
//
//   const PartitionConstraints constraints = partition_constraints(sps, picture_header);
//   const AllowedSplits allowed = allowed_splits(constraints, node, size);
//
//   CuMap map(size.width, size.height);
//   map.fill(node.x, node.y, node.width(), node.height(), {.slice = 1});
//   const CuInfo* left = map.find(node.x - 1, node.y, 1);      // null: no such neighbour
#pragma once

#include <cstdint>
#include <vector>

#include "vvc/stream/header_syntax.h"

namespace llmcodec::vvc {

// Sizes as log2 of luma samples, for intra slices.
struct PartitionConstraints {
  int ctb_log2 = 5;
  int min_cb_log2 = 5;
  int min_qt_log2 = 5;
  int max_bt_log2 = 5;
  int max_tt_log2 = 5;
  int max_mtt_depth = 0;
};

PartitionConstraints partition_constraints(const Sps& sps, const PictureHeader& header);

enum class Split : uint8_t {
  kNone,
  kQuad,
  kBinaryHorizontal,
  kBinaryVertical,
  kTernaryHorizontal,
  kTernaryVertical
};

constexpr bool is_ternary(Split split) {
  return split >= Split::kTernaryHorizontal;
}
constexpr bool is_vertical(Split split) {
  return split == Split::kBinaryVertical || split == Split::kTernaryVertical;
}

// One node of the coding tree. Position in luma samples.
struct CodingNode {
  int x = 0, y = 0;
  int log2_width = 5, log2_height = 5;
  int qt_depth = 0;
  int mtt_depth = 0;
  int implicit_bt_depth = 0;       // binary splits forced by the picture's border on the way here
  int subdivision = 0;             // cbSubdiv, for quantisation groups
  bool quantisation_group = true;  // whether a node this deep may still start a quantisation group
  Split parent = Split::kQuad;     // how its parent was split; kQuad for a whole CTU
  int part = 0;                    // which child of its parent it is

  int width() const { return 1 << log2_width; }
  int height() const { return 1 << log2_height; }
};

struct PictureSize {
  int width = 0, height = 0;
};

struct AllowedSplits {
  bool none = true;
  bool quad = false;
  bool binary_horizontal = false, binary_vertical = false;
  bool ternary_horizontal = false, ternary_vertical = false;

  int horizontal() const { return binary_horizontal + ternary_horizontal; }
  int vertical() const { return binary_vertical + ternary_vertical; }
};

// H.266 6.4.1 to 6.4.3. For a node that crosses the right or lower border of the picture `none` is false: it
// must be split.
AllowedSplits allowed_splits(const PartitionConstraints& constraints, const CodingNode& node,
                             PictureSize picture);

// The 2 to 4 children in coding order. Children may lie outside the picture: those are not coded.
struct ChildNodes {
  CodingNode node[4];
  int count = 0;
};
// `qp_delta_subdivision` is CuQpDeltaSubdiv: children deeper than that start no quantisation group.
ChildNodes split_node(const CodingNode& node, Split split, bool crosses_border, int qp_delta_subdivision);

// What later coding units ask about an earlier one; kept for every 4x4 samples.
struct CuInfo {
  uint16_t slice = 0;  // 1 + index of its slice; 0: not decoded yet
  uint8_t log2_width = 0, log2_height = 0;
  uint8_t qt_depth = 0;
  uint8_t intra_mode = 0;  // 0..66
  int8_t qp = 0;           // QpY
};

class CuMap {
 public:
  CuMap() = default;
  // Size in luma samples, multiples of 4.
  CuMap(int width, int height);
  // The unit that covers sample (x, y); null outside the picture, before it is decoded, or in another slice.
  const CuInfo* find(int x, int y, uint16_t slice) const {
    if (x < 0 || y < 0 || x >= width_ || y >= height_) return nullptr;
    const CuInfo* info = &cells_[static_cast<size_t>(y >> 2) * stride_ + (x >> 2)];
    return info->slice == slice ? info : nullptr;
  }
  // Marks a block; parts outside the picture are left out.
  void fill(int x, int y, int width, int height, const CuInfo& info);
  void clear();

 private:
  int width_ = 0, height_ = 0;
  size_t stride_ = 0;
  std::vector<CuInfo> cells_;
};

}  // namespace llmcodec::vvc
