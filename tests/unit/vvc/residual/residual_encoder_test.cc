// SPDX-License-Identifier: BSD-3-Clause
// The fast writer must give the bits, the models and the coder's state
// of the description in residual_syntax.h.
#include "vvc/residual/residual_encoder.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "every_instruction_set.h"
#include "same_models.h"
#include "vvc/residual/residual_syntax.h"

namespace llmcodec::vvc {
namespace {

struct Block {
  int log2_width, log2_height, last;
  std::vector<int32_t> scanned, raster;
};

// Levels that the states can reach; `spread` sets how large, `density` how many of 16 are not zero.
Block random_block(std::mt19937& random, int log2_width, int log2_height, int spread, unsigned density) {
  const ScanOrder& scan = scan_order(log2_width, log2_height);
  Block b{log2_width, log2_height, 0, std::vector<int32_t>(static_cast<size_t>(scan.count)),
          std::vector<int32_t>(size_t{1} << (log2_width + log2_height))};
  b.last = static_cast<int>(random() % static_cast<unsigned>(scan.count));
  if (random() % 2 == 0) b.last = scan.count - 1;
  int state = 0;
  for (int n = b.last; n >= 0; --n) {
    int level = random() % 16 < density
                    ? static_cast<int>(random() % (1u << (random() % static_cast<unsigned>(spread))))
                    : 0;
    if (n == b.last) level = std::max(level, 1);
    const int magnitude = level == 0 ? 0 : 2 * level - (state >> 1);
    const int32_t value = random() % 2 ? -magnitude : magnitude;
    b.scanned[static_cast<size_t>(n)] = b.raster[scan[n].raster] = value;
    state = next_state(state, level & 1);
  }
  return b;
}

void expect_equal_on_this_target() {
  std::mt19937 random(5);
  CabacEncoder described(initial_contexts(27)), fast(initial_contexts(27));
  for (int round = 0; round < 600; ++round) {
    const int w = 2 + round % 4, h = 2 + round / 4 % 4;
    Block b = random_block(random, w, h, 1 + static_cast<int>(random() % 15), 1 + random() % 16);
    residual_coding(described, {w, h, true, b.raster.data()}, b.last);
    encode_residual_in_scan_order(fast, w, h, b.scanned.data(), b.last);
    SCOPED_TRACE(round);
    ASSERT_EQ(described.registers().range, fast.registers().range);
    ASSERT_NO_FATAL_FAILURE(expect_same_models(described.contexts(), fast.contexts()));
  }
  described.terminate(1);
  fast.terminate(1);
  EXPECT_EQ(described.finish(), fast.finish());
}

TEST(ResidualEncoder, equals_the_description_on_every_instruction_set) {
  on_every_instruction_set(expect_equal_on_this_target);
}

}  // namespace
}  // namespace llmcodec::vvc
