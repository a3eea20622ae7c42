// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/partition_search.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "llmcodec/plane.h"

namespace llmcodec::vvc {
namespace {

constexpr int kSize = 64;

struct Setting {
  Setting() : source(kSize, kSize), picture(kSize, kSize), map(kSize, kSize), contexts(initial_contexts(29)) {
    for (auto* plane : {&source, &picture})
      for (size_t y = 0; y < kSize; ++y)
        for (size_t x = 0; x < kSize; ++x) plane->view().at(y, x) = 512;
  }
  PartitionSearch::Surroundings around() {
    return {picture.view(), &map, {.map = &map, .slice = 1, .right_limit = kSize}, &contexts, kSize};
  }
  static CodingNode node(int x, int y) {
    CodingNode n;
    n.x = x, n.y = y;
    return n;
  }

  Plane source, picture;
  CuMap map;
  ContextSet contexts;
};

TEST(PartitionSearch, flat_block_stays_whole) {
  Setting s;
  BlockQuantizer quantizer(s.source.view(), s.picture.view(), {});
  quantizer.set_qp(29);
  PartitionSearch search(s.source.view(), quantizer);
  EXPECT_EQ(search.choose(Setting::node(32, 32), s.around()), Split::kNone);
}

// Noise in one part only: a block boundary that follows it is cheaper than a transform over both.
TEST(PartitionSearch, split_follows_the_content) {
  const auto choice = [](auto is_noisy) {
    Setting s;
    std::mt19937 random(1);
    std::normal_distribution<double> normal(0, 90);
    for (int y = 0; y < 32; ++y)
      for (int x = 0; x < 32; ++x)
        if (is_noisy(x, y))
          s.source.view().at(static_cast<size_t>(y), static_cast<size_t>(x)) =
              static_cast<uint16_t>(std::clamp(512 + normal(random), 0.0, 1023.0));
    BlockQuantizer quantizer(s.source.view(), s.picture.view(), {});
    quantizer.set_qp(29);
    return PartitionSearch(s.source.view(), quantizer).choose(Setting::node(0, 0), s.around());
  };
  EXPECT_EQ(choice([](int, int y) { return y >= 16; }), Split::kBinaryHorizontal);
  EXPECT_EQ(choice([](int x, int) { return x < 16; }), Split::kBinaryVertical);
  EXPECT_EQ(choice([](int, int y) { return y >= 8 && y < 24; }), Split::kTernaryHorizontal);
  EXPECT_EQ(choice([](int x, int) { return x < 8; }), Split::kTernaryVertical);
}

TEST(PartitionSearch, leaves_what_is_outside_the_node) {
  Setting s;
  s.map.fill(0, 0, 32, 64, {.slice = 1, .log2_width = 5, .log2_height = 5, .qt_depth = 1, .intra_mode = 1});
  s.source.view().at(40, 40) = 900;
  BlockQuantizer quantizer(s.source.view(), s.picture.view(), {});
  quantizer.set_qp(20);
  PartitionSearch(s.source.view(), quantizer).choose(Setting::node(32, 32), s.around());
  for (int y = 0; y < kSize; y += 4)
    for (int x = 0; x < kSize; x += 4) {
      EXPECT_EQ(s.map.find(x, y, 1) != nullptr, x < 32) << x << " " << y;
      if (x < 32 || y < 32) {
        EXPECT_EQ(s.picture.view().at(static_cast<size_t>(y), static_cast<size_t>(x)), 512);
      }
    }
}

}  // namespace
}  // namespace llmcodec::vvc
