// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/picture/partition.h"

#include <algorithm>

namespace llmcodec::vvc {

namespace {

constexpr int kMaxTransformLog2 = 6;  // blocks of 64 are the pipeline unit that splits must respect

bool binary_size_allowed(const PartitionConstraints& c, const CodingNode& n) {
  return n.log2_width <= c.max_bt_log2 && n.log2_height <= c.max_bt_log2;
}

bool ternary_size_allowed(const PartitionConstraints& c, const CodingNode& n) {
  const int limit = std::min(c.max_tt_log2, kMaxTransformLog2);
  return n.log2_width <= limit && n.log2_height <= limit;
}

// The middle part of a ternary split may not be halved the same way:
// two binary splits would give the same blocks.
bool repeats_ternary(const CodingNode& n, Split ternary) {
  return n.parent == ternary && n.part == 1;
}

AllowedSplits border_splits(const PartitionConstraints& c, const CodingNode& n, PictureSize picture,
                            bool quad_allowed, bool depth_allowed) {
  const bool right_inside = n.x + n.width() <= picture.width;
  const bool bottom_inside = n.y + n.height() <= picture.height;
  const bool binary = depth_allowed && binary_size_allowed(c, n) && n.log2_width <= kMaxTransformLog2 &&
                      n.log2_height <= kMaxTransformLog2;
  AllowedSplits allowed;
  allowed.none = false;
  allowed.quad = quad_allowed || !binary;
  allowed.binary_horizontal = binary && !bottom_inside && (right_inside || !allowed.quad);
  allowed.binary_vertical = binary && bottom_inside && !right_inside;
  if (!allowed.binary_horizontal && !allowed.binary_vertical) allowed.quad = true;
  return allowed;
}

}  // namespace

PartitionConstraints partition_constraints(const Sps& sps, const PictureHeader& header) {
  PartitionConstraints c;
  c.ctb_log2 = sps.ctb_log2();
  c.min_cb_log2 = sps.min_cb_log2();
  c.min_qt_log2 = c.min_cb_log2 + static_cast<int>(header.ph_log2_diff_min_qt_min_cb_intra_slice_luma);
  c.max_mtt_depth = static_cast<int>(header.ph_max_mtt_hierarchy_depth_intra_slice_luma);
  c.max_bt_log2 = c.min_qt_log2 + static_cast<int>(header.ph_log2_diff_max_bt_min_qt_intra_slice_luma);
  c.max_tt_log2 = c.min_qt_log2 + static_cast<int>(header.ph_log2_diff_max_tt_min_qt_intra_slice_luma);
  return c;
}

// H.266 (V3, 09/2023) 6.4.1 Derivation process for allowed quad splits, 6.4.2 binary ones, 6.4.3 ternary
AllowedSplits allowed_splits(const PartitionConstraints& c, const CodingNode& n, PictureSize picture) {
  const bool quad_allowed = n.parent == Split::kQuad && n.log2_width > c.min_qt_log2;
  const bool depth_allowed = n.mtt_depth < c.max_mtt_depth + n.implicit_bt_depth;
  if (n.x + n.width() > picture.width || n.y + n.height() > picture.height)
    return border_splits(c, n, picture, quad_allowed, depth_allowed);
  AllowedSplits allowed;
  allowed.quad = quad_allowed;
  if (!depth_allowed) return allowed;
  if (binary_size_allowed(c, n)) {
    const bool wide = n.log2_width > kMaxTransformLog2;
    const bool tall = n.log2_height > kMaxTransformLog2;
    allowed.binary_horizontal =
        n.log2_height > c.min_cb_log2 && (!wide || tall) && !repeats_ternary(n, Split::kTernaryHorizontal);
    allowed.binary_vertical =
        n.log2_width > c.min_cb_log2 && (wide || !tall) && !repeats_ternary(n, Split::kTernaryVertical);
  }
  if (ternary_size_allowed(c, n)) {
    allowed.ternary_horizontal = n.log2_height > c.min_cb_log2 + 1;
    allowed.ternary_vertical = n.log2_width > c.min_cb_log2 + 1;
  }
  return allowed;
}

namespace {

CodingNode child_of(const CodingNode& node, Split split, int part) {
  CodingNode child = node;
  child.parent = split;
  child.part = part;
  return child;
}

ChildNodes split_quad(const CodingNode& node) {
  ChildNodes children;
  for (; children.count < 4; ++children.count) {
    CodingNode& child = children.node[children.count] = child_of(node, Split::kQuad, children.count);
    --child.log2_width;
    --child.log2_height;
    ++child.qt_depth;
    child.subdivision += 2;
    child.x += (children.count & 1) << child.log2_width;
    child.y += (children.count >> 1) << child.log2_height;
  }
  return children;
}

// Two halves, or a quarter, a half and a quarter, along one direction.
ChildNodes split_multi_type(const CodingNode& node, Split split, bool crosses_border) {
  const bool vertical = split == Split::kBinaryVertical || split == Split::kTernaryVertical;
  const int count = is_ternary(split) ? 3 : 2;
  int offset = 0;
  ChildNodes children;
  for (; children.count < count; ++children.count) {
    CodingNode& child = children.node[children.count] = child_of(node, split, children.count);
    const int shift = count == 2 || children.count == 1 ? 1 : 2;
    (vertical ? child.log2_width : child.log2_height) -= shift;
    (vertical ? child.x : child.y) += offset;
    offset += vertical ? child.width() : child.height();
    ++child.mtt_depth;
    child.subdivision += shift;
    if (count == 2 && crosses_border) ++child.implicit_bt_depth;
  }
  return children;
}

}  // namespace

// H.266 (V3, 09/2023) 7.3.11.4 Coding tree syntax: the calls of coding_tree() in itself
ChildNodes split_node(const CodingNode& node, Split split, bool crosses_border, int qp_delta_subdivision) {
  ChildNodes children =
      split == Split::kQuad ? split_quad(node) : split_multi_type(node, split, crosses_border);
  // All parts of a ternary split group as its quarters do.
  const int deepest = children.node[0].subdivision;
  for (int i = 0; i < children.count; ++i)
    children.node[i].quantisation_group = node.quantisation_group && deepest <= qp_delta_subdivision;
  return children;
}

CuMap::CuMap(int width, int height)
    : width_(width),
      height_(height),
      stride_(static_cast<size_t>(width + 3) / 4),
      cells_(stride_ * (static_cast<size_t>(height + 3) / 4)) {}

void CuMap::fill(int x, int y, int width, int height, const CuInfo& info) {
  const int right = std::min(x + width, width_);
  const int bottom = std::min(y + height, height_);
  for (int row = y >> 2; row < (bottom + 3) >> 2; ++row) {
    CuInfo* cells = &cells_[static_cast<size_t>(row) * stride_];
    std::fill(cells + (x >> 2), cells + ((right + 3) >> 2), info);
  }
}

void CuMap::clear() {
  std::fill(cells_.begin(), cells_.end(), CuInfo());
}

}  // namespace llmcodec::vvc
