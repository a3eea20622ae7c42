// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/picture/partition.h"

#include <gtest/gtest.h>

#include <random>

namespace llmcodec::vvc {
namespace {

std::vector<Split> list_of(const AllowedSplits& a) {
  std::vector<Split> out;
  if (a.none) out.push_back(Split::kNone);
  if (a.quad) out.push_back(Split::kQuad);
  if (a.binary_horizontal) out.push_back(Split::kBinaryHorizontal);
  if (a.binary_vertical) out.push_back(Split::kBinaryVertical);
  if (a.ternary_horizontal) out.push_back(Split::kTernaryHorizontal);
  if (a.ternary_vertical) out.push_back(Split::kTernaryVertical);
  return out;
}

// Random walk down the tree; counts how often each 4x4 cell becomes part of a leaf.
struct Walker {
  PartitionConstraints constraints;
  PictureSize picture;
  std::mt19937 random{7};
  std::vector<int> covered;

  void walk(const CodingNode& node) {
    const auto choices = list_of(allowed_splits(constraints, node, picture));
    ASSERT_FALSE(choices.empty());
    const Split split = choices[random() % choices.size()];
    if (split == Split::kNone) return leaf(node);
    const bool crosses = node.x + node.width() > picture.width || node.y + node.height() > picture.height;
    const ChildNodes children = split_node(node, split, crosses, 2);
    int area = 0;
    for (int i = 0; i < children.count; ++i) {
      const CodingNode& child = children.node[i];
      area += child.width() * child.height();
      if (child.x < picture.width && child.y < picture.height) walk(child);
    }
    EXPECT_EQ(area, node.width() * node.height());
  }

  void leaf(const CodingNode& node) {
    ASSERT_GE(node.log2_width, constraints.min_cb_log2);
    ASSERT_GE(node.log2_height, constraints.min_cb_log2);
    ASSERT_LE(node.mtt_depth, constraints.max_mtt_depth + node.implicit_bt_depth);
    ASSERT_LE(node.x + node.width(), picture.width);
    ASSERT_LE(node.y + node.height(), picture.height);
    for (int y = node.y; y < node.y + node.height(); y += 4)
      for (int x = node.x; x < node.x + node.width(); x += 4) ++covered[y / 4 * (picture.width / 4) + x / 4];
  }
};

TEST(Partition, every_tree_covers_the_picture_once) {
  const PartitionConstraints all[] = {{5, 5, 5, 5, 5, 0}, {7, 2, 3, 5, 5, 2}, {7, 2, 3, 7, 6, 4},
                                      {6, 2, 2, 6, 6, 6}, {6, 3, 4, 6, 5, 3}, {5, 2, 3, 5, 5, 2},
                                      {7, 5, 5, 5, 5, 0}, {7, 3, 6, 7, 6, 1}};
  for (const PartitionConstraints& constraints : all) {
    for (const PictureSize picture :
         {PictureSize{128, 128}, PictureSize{264, 72}, PictureSize{8, 8}, PictureSize{136, 200}}) {
      const int unit = std::max(8, 1 << constraints.min_cb_log2);
      if (picture.width % unit != 0 || picture.height % unit != 0) continue;
      for (unsigned round = 0; round < 20; ++round) {
        Walker walker{constraints, picture, std::mt19937(round), {}};
        walker.covered.assign(static_cast<size_t>(picture.width / 4) * (picture.height / 4), 0);
        const int ctb = 1 << constraints.ctb_log2;
        for (int y = 0; y < picture.height; y += ctb) {
          for (int x = 0; x < picture.width; x += ctb) {
            CodingNode root;
            root.x = x, root.y = y;
            root.log2_width = root.log2_height = constraints.ctb_log2;
            walker.walk(root);
            ASSERT_FALSE(HasFatalFailure());
          }
        }
        for (int count : walker.covered) ASSERT_EQ(count, 1);
      }
    }
  }
}

TEST(Partition, middle_of_ternary_is_not_halved_the_same_way) {
  const PartitionConstraints constraints{6, 2, 3, 6, 6, 4};
  CodingNode node;
  node.log2_width = node.log2_height = 6;
  const ChildNodes children = split_node(node, Split::kTernaryVertical, false, 8);
  EXPECT_EQ(children.node[1].width(), 32);
  EXPECT_FALSE(allowed_splits(constraints, children.node[1], {64, 64}).binary_vertical);
  EXPECT_TRUE(allowed_splits(constraints, children.node[1], {64, 64}).binary_horizontal);
  EXPECT_TRUE(allowed_splits(constraints, children.node[0], {64, 64}).binary_vertical);
  EXPECT_FALSE(allowed_splits(constraints, children.node[0], {64, 64}).quad);
}

TEST(Partition, quantisation_groups_end_at_their_depth) {
  CodingNode node;
  node.log2_width = node.log2_height = 7;
  const ChildNodes quads = split_node(node, Split::kQuad, false, 2);
  EXPECT_TRUE(quads.node[3].quantisation_group);
  EXPECT_FALSE(split_node(quads.node[0], Split::kBinaryVertical, false, 2).node[0].quantisation_group);
  EXPECT_TRUE(split_node(quads.node[0], Split::kBinaryVertical, false, 3).node[1].quantisation_group);
  // The half in the middle of a ternary split groups with its quarters.
  EXPECT_FALSE(split_node(quads.node[0], Split::kTernaryVertical, false, 3).node[1].quantisation_group);
}

TEST(Partition, map_knows_slice_and_picture) {
  CuMap map(40, 24);
  EXPECT_EQ(map.find(0, 0, 1), nullptr);
  map.fill(32, 16, 32, 32, {.slice = 3, .log2_width = 5, .intra_mode = 7});  // crosses the border
  ASSERT_NE(map.find(39, 23, 3), nullptr);
  EXPECT_EQ(map.find(39, 23, 3)->intra_mode, 7);
  EXPECT_EQ(map.find(31, 23, 3), nullptr);
  EXPECT_EQ(map.find(39, 23, 2), nullptr);
  EXPECT_EQ(map.find(40, 23, 3), nullptr);
  EXPECT_EQ(map.find(-1, 0, 3), nullptr);
  map.clear();
  EXPECT_EQ(map.find(39, 23, 3), nullptr);
}

}  // namespace
}  // namespace llmcodec::vvc
