// SPDX-License-Identifier: BSD-3-Clause
// Streams written side by side must have the bits and models that each has alone.
#include "vvc/residual/lanes/write_32x32_lanes.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "every_instruction_set.h"
#include "same_models.h"
#include "vvc/residual/residual_encoder.h"
#include "vvc/residual/residual_syntax.h"

namespace llmcodec::vvc {
namespace {

struct Block {
  int last;
  std::vector<int32_t> levels;
};

// Levels that the states can reach; `spread` sets how large, `density` how many of 16 are not zero.
Block random_block(std::mt19937& random, unsigned spread, unsigned density) {
  Block b{random() % 2 ? 1023 : static_cast<int>(random() % 1024), std::vector<int32_t>(1024)};
  const bool is_sparse = random() % 4 == 0;  // sub-blocks without levels
  int state = 0;
  for (int n = b.last; n >= 0; --n) {
    int level = random() % 16 < density ? static_cast<int>(random() % (1u << (random() % spread))) : 0;
    if (is_sparse && (n / 16) % 3 != 0) level = 0;
    if (n == b.last) level = std::max(level, 1);
    const int magnitude = level == 0 ? 0 : 2 * level - (state >> 1);
    b.levels[static_cast<size_t>(n)] = random() % 2 ? -magnitude : magnitude;
    state = next_state(state, level & 1);
  }
  return b;
}

void expect_same(size_t streams, int blocks, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<CabacEncoder> plain;
  for (size_t i = 0; i < streams; ++i) plain.emplace_back(initial_contexts(static_cast<int>(random() % 64)));
  std::vector<CabacEncoder> lanes = plain;
  for (int block = 0; block < blocks; ++block) {
    SCOPED_TRACE(block);
    std::vector<Block> content;
    for (size_t i = 0; i < streams; ++i)
      content.push_back(random_block(random, 1 + random() % 15, 1 + random() % 16));
    std::vector<LaneOutput> work;
    for (size_t i = 0; i < streams; ++i)
      work.push_back({&lanes[i], content[i].levels.data(), content[i].last});
    encode_residuals_in_scan_order(work);
    for (size_t i = 0; i < streams; ++i) {
      SCOPED_TRACE(i);
      encode_residual_in_scan_order(plain[i], 5, 5, content[i].levels.data(), content[i].last);
      ASSERT_NO_FATAL_FAILURE(expect_same_models(plain[i].contexts(), lanes[i].contexts()));
    }
  }
  for (size_t i = 0; i < streams; ++i) {
    plain[i].terminate(1);
    lanes[i].terminate(1);
    EXPECT_EQ(plain[i].finish(), lanes[i].finish()) << i;
  }
}

TEST(Write32x32Lanes, equals_the_plain_encoder) {
  on_every_instruction_set([] {
    for (uint32_t seed = 0; seed < 40; ++seed) {
      SCOPED_TRACE(seed);
      ASSERT_NO_FATAL_FAILURE(expect_same(16, 6, seed));
    }
  });
}

TEST(Write32x32Lanes, any_number_of_streams) {
  on_every_instruction_set([] {
    for (uint32_t streams = 0; streams <= 35; ++streams) {
      SCOPED_TRACE(streams);
      ASSERT_NO_FATAL_FAILURE(expect_same(streams, 2, streams));
    }
  });
}

}  // namespace
}  // namespace llmcodec::vvc
