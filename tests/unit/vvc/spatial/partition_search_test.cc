// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/spatial/partition_search.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include "every_instruction_set.h"
#include "llmcodec/plane.h"

namespace llmcodec::vvc {
namespace {

constexpr int kSize = 64;

struct Setting {
  Setting() : source(kSize, kSize), map(kSize, kSize), contexts(initial_contexts(29)) {
    for (size_t y = 0; y < kSize; ++y)
      for (size_t x = 0; x < kSize; ++x) source.view().at(y, x) = 512;
    map.fill(0, 0, kSize, kSize, {.slice = 1});
  }
  // Noise at the samples of the upper left block for which is_noisy(x, y).
  template <class IsNoisy>
  void add_noise(IsNoisy is_noisy) {
    std::mt19937 random(1);
    std::normal_distribution<double> normal(0, 90);
    for (size_t y = 0; y < 32; ++y)
      for (size_t x = 0; x < 32; ++x)
        if (is_noisy(x, y))
          source.view().at(y, x) = static_cast<uint16_t>(std::clamp(512 + normal(random), 0.0, 1023.0));
  }
  void run(PartitionSearch& search, std::span<const SearchNode> nodes) {
    search.run(nodes, {.map = &map, .slice = 1, .right_limit = kSize}, contexts);
  }

  Plane source;
  CuMap map;
  ContextSet contexts;
};

TEST(PartitionSearch, flat_block_stays_whole) {
  Setting s;
  PartitionSearch search(s.source.view(), {});
  s.run(search, std::array{SearchNode{32, 32, 29}});
  EXPECT_EQ(search.choice(0).splits, std::vector{Split::kNone});
  ASSERT_EQ(search.choice(0).parts.size(), 1u);
  EXPECT_EQ(search.choice(0).parts[0].last, -1);
}

// Noise in one part only: a block boundary that follows it is cheaper than a transform over both.
TEST(PartitionSearch, split_follows_the_content) {
  const auto choice = [](auto is_noisy) {
    Setting s;
    s.add_noise(is_noisy);
    PartitionSearch search(s.source.view(), {});
    s.run(search, std::array{SearchNode{0, 0, 29}});
    return search.choice(0).splits.at(0);
  };
  EXPECT_EQ(choice([](size_t, size_t y) { return y >= 16; }), Split::kBinaryHorizontal);
  EXPECT_EQ(choice([](size_t x, size_t) { return x < 16; }), Split::kBinaryVertical);
  EXPECT_EQ(choice([](size_t, size_t y) { return y >= 8 && y < 24; }), Split::kTernaryHorizontal);
  EXPECT_EQ(choice([](size_t x, size_t) { return x < 8; }), Split::kTernaryVertical);
}

// Noise in one quarter: the half without it stays whole, the other is split again.
TEST(PartitionSearch, parts_are_split_again) {
  Setting s;
  s.add_noise([](size_t x, size_t y) { return x >= 16 && y < 16; });
  PartitionSearch search(s.source.view(), {});
  s.run(search, std::array{SearchNode{0, 0, 29}});
  const PartitionChoice& choice = search.choice(0);
  ASSERT_EQ(choice.parts.size(), 3u);
  ASSERT_GE(choice.splits.size(), 2u);
  const bool rows_first = choice.splits[0] == Split::kBinaryHorizontal;
  EXPECT_EQ(choice.splits,
            rows_first ? (std::vector{Split::kBinaryHorizontal, Split::kBinaryVertical, Split::kNone})
                       : (std::vector{Split::kBinaryVertical, Split::kNone, Split::kBinaryHorizontal}));
  for (size_t part = 0; part < 3; ++part) EXPECT_EQ(choice.parts[part].last > 0, part == 1) << part;
}

// Whatever else is searched beside it, and whatever instructions do it.
TEST(PartitionSearch, node_does_not_depend_on_its_batch) {
  Setting s;
  s.add_noise([](size_t x, size_t y) { return x + y > 20; });
  const SearchNode node{0, 0, 24}, flat{32, 0, 30};
  PartitionSearch alone(s.source.view(), {});
  s.run(alone, std::array{node});
  const PartitionChoice& expected = alone.choice(0);
  on_every_instruction_set([&] {
    PartitionSearch search(s.source.view(), {});
    std::vector<SearchNode> nodes(PartitionSearch::kMaxNodes, flat);
    nodes.back() = node;
    s.run(search, nodes);
    const PartitionChoice& found = search.choice(nodes.size() - 1);
    ASSERT_EQ(found.splits, expected.splits);
    ASSERT_EQ(found.parts.size(), expected.parts.size());
    for (size_t part = 0; part < found.parts.size(); ++part) {
      EXPECT_EQ(found.parts[part].last, expected.parts[part].last);
      EXPECT_EQ(found.parts[part].final_state, expected.parts[part].final_state);
      EXPECT_TRUE(std::ranges::equal(found.parts[part].levels, expected.parts[part].levels));
    }
    EXPECT_GT(found.parts[0].last + found.parts.back().last, 0);
  });
}

}  // namespace
}  // namespace llmcodec::vvc
