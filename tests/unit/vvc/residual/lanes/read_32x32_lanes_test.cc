// SPDX-License-Identifier: BSD-3-Clause
// Streams read side by side must give what each gives alone: levels, models and the decoder's state.
#include "vvc/residual/lanes/read_32x32_lanes.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "every_instruction_set.h"
#include "residual_noise.h"
#include "vvc/cabac/cabac_encoder.h"
#include "vvc/residual/residual_decoder.h"

namespace llmcodec::vvc {
namespace {

using Bytes = std::vector<uint8_t>;

// `blocks` blocks of each stream, those of one round together;
// then single bins, so that blocks start anywhere.
void expect_same(const std::vector<Bytes>& streams, int blocks, bool has_bins_between) {
  std::vector<CabacDecoder> plain;
  for (const Bytes& bytes : streams)
    plain.emplace_back(bytes, initial_contexts(static_cast<int>(plain.size() % 64)));
  std::vector<CabacDecoder> lanes = plain;
  for (int block = 0; block < blocks; ++block) {
    SCOPED_TRACE(block);
    std::vector<std::vector<int32_t>> levels(streams.size(), std::vector<int32_t>(1024));
    std::vector<LaneBlock> work;
    for (size_t i = 0; i < streams.size(); ++i) work.push_back({&lanes[i], levels[i].data(), {}});
    decode_residuals_in_scan_order(work);
    for (size_t i = 0; i < streams.size(); ++i) {
      SCOPED_TRACE(i);
      std::vector<int32_t> expected(1024);
      const ResidualInfo info = decode_residual_in_scan_order(plain[i], 5, 5, expected.data());
      ASSERT_EQ(info.last_scan_position, work[i].info.last_scan_position);
      ASSERT_EQ(info.level_in_range, work[i].info.level_in_range);
      ASSERT_EQ(expected, levels[i]);
      ASSERT_NO_FATAL_FAILURE(expect_same_state(plain[i], lanes[i]));
      if (!has_bins_between) continue;
      EXPECT_EQ(plain[i].bypass(0, 3), lanes[i].bypass(0, 3));
      EXPECT_EQ(plain[i].bin(0, ctx::kTuYCodedFlag), lanes[i].bin(0, ctx::kTuYCodedFlag));
    }
  }
}

// Random bytes are random bins: long escapes, exhausted budgets, levels out of range, streams that end in the
// middle or hold nothing.
TEST(Read32x32Lanes, equal_the_plain_decoder_on_random_bytes) {
  on_every_instruction_set([] {
    for (uint32_t seed = 0; seed < 60; ++seed) {
      SCOPED_TRACE(seed);
      std::mt19937 random(seed);
      std::vector<Bytes> streams(1 + random() % 40);
      for (Bytes& bytes : streams) {
        bytes.resize(random() % 3000);
        const unsigned ones = random() % 8;
        for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() % 8 < ones ? 255 : random());
      }
      ASSERT_NO_FATAL_FAILURE(expect_same(streams, 5, true));
    }
  });
}

Bytes noise_stream(uint32_t seed, unsigned rate, int blocks, int qp) {
  std::mt19937 random(seed);
  CabacEncoder encoder(initial_contexts(qp));
  const ScanOrder& scan = scan_order(5, 5);
  for (int block = 0; block < blocks; ++block) {
    const int last = random() % 2 ? 700 + static_cast<int>(random() % 8) : static_cast<int>(random() % 1024);
    const bool is_sparse = random() % 4 == 0;
    std::vector<int32_t> levels = noise_levels(scan, last, {rate, is_sparse}, random);
    residual_coding(encoder, TransformBlock{5, 5, true, levels.data()}, last);
  }
  encoder.terminate(1);
  return encoder.finish();
}

TEST(Read32x32Lanes, equal_the_plain_decoder_on_noise_at_all_rates) {
  on_every_instruction_set([] {
    for (uint32_t rate = 0; rate < 40; ++rate) {
      SCOPED_TRACE(rate);
      std::vector<Bytes> streams;
      for (uint32_t i = 0; i < 16; ++i)
        streams.push_back(noise_stream(100 * rate + i, rate + i % 3, 12, static_cast<int>(i)));
      ASSERT_NO_FATAL_FAILURE(expect_same(streams, 12, false));
    }
  });
}

TEST(Read32x32Lanes, any_number_of_streams) {
  on_every_instruction_set([] {
    for (uint32_t count = 0; count <= 35; ++count) {
      SCOPED_TRACE(count);
      std::vector<Bytes> streams;
      for (uint32_t i = 0; i < count; ++i) streams.push_back(noise_stream(i, 3, 2, static_cast<int>(i)));
      ASSERT_NO_FATAL_FAILURE(expect_same(streams, 2, false));
    }
  });
}

}  // namespace
}  // namespace llmcodec::vvc
