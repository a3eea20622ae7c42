// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/residual/residual_decoder.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "residual_noise.h"
#include "vvc/cabac/cabac_decoder.h"
#include "vvc/cabac/cabac_encoder.h"
#include "vvc/residual/residual_syntax.h"

namespace llmcodec::vvc {
namespace {

struct Decoded {
  ResidualInfo info;
  std::vector<int32_t> levels;
};

template <class Read>
Decoded decode_block(CabacDecoder& bins, int log2_width, int log2_height, Read read) {
  Decoded out{{}, std::vector<int32_t>(size_t{1} << (log2_width + log2_height))};
  const TransformBlock block{log2_width, log2_height, true, out.levels.data()};
  out.info = read(bins, block);
  return out;
}

// Both readers on the same bytes must agree on everything, the arithmetic
// decoder's state and contexts included.
void expect_same(CabacDecoder& plain, CabacDecoder& fast, int log2_width, int log2_height, uint32_t seed) {
  const Decoded a = decode_block(
      plain, log2_width, log2_height,
      [](CabacDecoder& bins, const TransformBlock& block) { return residual_coding(bins, block, 0); });
  const Decoded b = decode_block(
      fast, log2_width, log2_height,
      [](CabacDecoder& bins, const TransformBlock& block) { return decode_residual(bins, block); });
  ASSERT_EQ(a.info.last_scan_position, b.info.last_scan_position) << seed;
  ASSERT_EQ(a.info.level_in_range, b.info.level_in_range) << seed;
  ASSERT_EQ(a.levels, b.levels) << seed;
  ASSERT_NO_FATAL_FAILURE(expect_same_state(plain, fast)) << seed;
}

// Random bytes are random bins: long escapes, exhausted budgets, levels out of range,
// data that end in the middle.
TEST(ResidualDecoder, agrees_with_the_description_on_random_bytes) {
  for (uint32_t seed = 0; seed < 3000; ++seed) {
    std::mt19937 random(seed);
    std::vector<uint8_t> bytes(random() % 3000);
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() % 7 == 0 ? 255 : random());
    CabacDecoder plain(bytes, initial_contexts(static_cast<int>(seed % 64)));
    CabacDecoder fast = plain;
    for (int block = 0; block < 6; ++block) {
      const int log2_width = 2 + static_cast<int>(random() % 5),
                log2_height = 2 + static_cast<int>(random() % 5);
      expect_same(plain, fast, log2_width, log2_height, seed);
      if (HasFatalFailure()) return;
      EXPECT_EQ(plain.bypass(0, 3), fast.bypass(0, 3));
      EXPECT_EQ(plain.bin(0, ctx::kTuYCodedFlag), fast.bin(0, ctx::kTuYCodedFlag));
    }
  }
}

// Blocks as they occur: noise at several rates, in streams of many blocks.
TEST(ResidualDecoder, agrees_on_noise_at_all_rates) {
  for (uint32_t seed = 0; seed < 40; ++seed) {
    std::mt19937 random(seed);
    CabacEncoder encoder(initial_contexts(30));
    for (int block = 0; block < 20; ++block) {
      const int last = static_cast<int>(random() % 1024);
      std::vector<int32_t> levels = noise_levels(scan_order(5, 5), last, {seed}, random);
      residual_coding(encoder, TransformBlock{5, 5, true, levels.data()}, last);
    }
    encoder.terminate(1);
    const std::vector<uint8_t> bytes = encoder.finish();
    CabacDecoder plain(bytes, initial_contexts(30)), fast = plain;
    for (int block = 0; block < 20; ++block) {
      expect_same(plain, fast, 5, 5, seed);
      if (HasFatalFailure()) return;
    }
    EXPECT_EQ(fast.terminate(0), 1);
    EXPECT_TRUE(fast.ends_cleanly());
  }
}

TEST(ResidualDecoder, scan_order_is_the_same_block) {
  std::mt19937 random(9);
  std::vector<uint8_t> bytes(20000);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  CabacDecoder raster(bytes, initial_contexts(20)), scanned = raster;
  for (int block = 0; block < 10; ++block) {
    std::vector<int32_t> a(1024), b(1024);
    const ResidualInfo info = decode_residual(raster, TransformBlock{5, 5, true, a.data()});
    EXPECT_EQ(decode_residual_in_scan_order(scanned, 5, 5, b.data()).last_scan_position,
              info.last_scan_position);
    for (int n = 0; n < 1024; ++n) ASSERT_EQ(b[n], a[scan_order(5, 5)[n].raster]);
  }
}

}  // namespace
}  // namespace llmcodec::vvc
