// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/residual/residual_syntax.h"

#include <gtest/gtest.h>

#include <random>

#include "vvc/cabac/cabac_decoder.h"
#include "vvc/cabac/cabac_encoder.h"

namespace llmcodec::vvc {
namespace {

struct Block {
  int log2_width, log2_height;
  bool dep_quant;
  std::vector<int32_t> levels;
  int last = 0;
  TransformBlock view() { return {log2_width, log2_height, dep_quant, levels.data()}; }
};

// A block of random levels, legal for the state machine.
Block random_block(std::mt19937& random, int log2_width, int log2_height, bool dep_quant) {
  Block block{log2_width, log2_height, dep_quant, {}};
  block.levels.assign(size_t{1} << (log2_width + log2_height), 0);
  const ScanOrder& scan = scan_order(log2_width, log2_height);
  block.last = static_cast<int>(random() % static_cast<unsigned>(scan.count));
  // In percent: levels that are not zero, and those of them that are large.
  const unsigned density = 1 + random() % 100, tail = random() % 4 == 0 ? random() % 50 : 0;
  const unsigned small = 1 + random() % 8;
  int state = 0;
  for (int n = block.last; n >= 0; --n) {
    int level = random() % 100 < density || n == block.last ? 1 + static_cast<int>(random() % small) : 0;
    if (level != 0 && random() % 100 < tail) level = 1 + static_cast<int>(random() % (1u << (random() % 15)));
    const int magnitude = level == 0 ? 0 : dep_quant ? std::min(2 * level, 32766) - (state >> 1) : level;
    level = dep_quant ? (magnitude + (state >> 1)) >> 1 : level;
    block.levels[scan[n].raster] = random() & 1 ? magnitude : -magnitude;
    if (dep_quant) state = next_state(state, level & 1);
  }
  return block;
}

TEST(ResidualSyntax, random_blocks_round_trip) {
  std::mt19937 random(1);
  for (int round = 0; round < 40; ++round) {
    CabacEncoder encoder(initial_contexts(32));
    std::vector<Block> blocks;
    for (int w = 2; w <= 6; ++w)
      for (int h = 2; h <= 6; ++h)
        for (bool dep_quant : {false, true}) {
          blocks.push_back(random_block(random, w, h, dep_quant));
          const std::vector<int32_t> before = blocks.back().levels;
          const TransformBlock block = blocks.back().view();
          residual_coding(encoder, block, blocks.back().last);
          ASSERT_EQ(before, blocks.back().levels);
        }
    encoder.terminate(1);
    const std::vector<uint8_t> bytes = encoder.finish();
    CabacDecoder decoder(bytes, initial_contexts(32));
    for (const Block& expected : blocks) {
      Block read{expected.log2_width, expected.log2_height, expected.dep_quant, {}};
      read.levels.assign(expected.levels.size(), 0);
      const ResidualInfo info = residual_coding(decoder, read.view(), 0);
      ASSERT_TRUE(info.level_in_range);
      ASSERT_EQ(read.levels, expected.levels);
    }
    ASSERT_EQ(decoder.terminate(0), 1);
    EXPECT_TRUE(decoder.ends_cleanly());
  }
}

TEST(ResidualSyntax, last_at_every_position) {
  for (int w = 2; w <= 6; ++w)
    for (int h = 2; h <= 6; ++h) {
      CabacEncoder encoder(initial_contexts(20));
      const ScanOrder& scan = scan_order(w, h);
      for (int last = 0; last < scan.count; ++last) last_sig_coeff(encoder, last, w, h);
      encoder.terminate(1);
      const std::vector<uint8_t> bytes = encoder.finish();
      CabacDecoder decoder(bytes, initial_contexts(20));
      for (int last = 0; last < scan.count; ++last) ASSERT_EQ(last_sig_coeff(decoder, 0, w, h), last);
    }
}

TEST(ResidualSyntax, level_beyond_16_bits_is_clipped_and_reported) {
  // One coefficient of a 4x4 block: the largest escape code there is.
  CabacEncoder encoder(initial_contexts(20));
  last_sig_coeff(encoder, 0, 2, 2);
  encoder.bin(1, ctx::kAbsLevelGt1Flag);
  encoder.bin(1, ctx::kParLevelFlag);
  encoder.bin(1, ctx::kAbsLevelGt3Flag);
  encoder.unary_bypass(17, 17);
  encoder.bypass(0x7fff, 15);
  encoder.bypass(0, 1);
  encoder.terminate(1);
  const std::vector<uint8_t> bytes = encoder.finish();
  Block block{2, 2, true, std::vector<int32_t>(16)};
  CabacDecoder decoder(bytes, initial_contexts(20));
  EXPECT_FALSE(residual_coding(decoder, block.view(), 0).level_in_range);
  EXPECT_EQ(block.levels[0], 32767);
}

TEST(ResidualSyntax, garbage_stays_inside_the_block) {
  std::mt19937 random(9);
  for (int round = 0; round < 500; ++round) {
    std::vector<uint8_t> bytes(random() % 2000);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(random() | (round % 3 == 0 ? 0xf0 : 0));
    CabacDecoder decoder(bytes, initial_contexts(static_cast<int>(random() % 64)));
    Block block{
        2 + static_cast<int>(random() % 5), 2 + static_cast<int>(random() % 5), random() % 2 == 0, {}};
    block.levels.assign(size_t{1} << (block.log2_width + block.log2_height), 0);
    residual_coding(decoder, block.view(), 0);
    for (int32_t level : block.levels) ASSERT_LE(std::abs(level), 32768);
  }
}

}  // namespace
}  // namespace llmcodec::vvc
