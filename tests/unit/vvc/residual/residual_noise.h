// SPDX-License-Identifier: BSD-3-Clause
// What tests of readers of residual_coding() share: blocks to read, and a comparison of two decoders.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

#include "same_models.h"
#include "vvc/cabac/cabac_decoder.h"
#include "vvc/residual/residual_syntax.h"

namespace llmcodec::vvc {

struct Noise {
  unsigned rate;           // levels are larger and denser with it; above 30 a few are huge
  bool is_sparse = false;  // two of three sub-blocks have no levels
};

// Levels by raster position that a writer with dependent quantisation could have chosen,
// the last one at scan position `last`.
inline std::vector<int32_t> noise_levels(const ScanOrder& scan, int last, Noise noise, std::mt19937& random) {
  std::vector<int32_t> levels(64 * 32);
  int state = 0;
  for (int n = last; n >= 0; --n) {
    int magnitude = static_cast<int>(random() % (2 + noise.rate)) * static_cast<int>(random() % 2);
    if (noise.is_sparse && (n / 16) % 3 != 0) magnitude = 0;
    if (noise.rate > 30 && random() % 50 == 0) magnitude = static_cast<int>(random() % 16000);
    if (n == last && magnitude == 0) magnitude = 1;
    const int level = magnitude == 0 ? 0 : 2 * magnitude - (state >> 1);
    levels[scan[n].raster] = random() % 2 ? level : -level;
    state = next_state(state, magnitude & 1);
  }
  return levels;
}

// Read-ahead may differ, what was used must not: models, registers and the next bins are the same.
inline void expect_same_state(CabacDecoder& plain, CabacDecoder& lanes) {
  ASSERT_EQ(plain.overrun(), lanes.overrun());
  ASSERT_NO_FATAL_FAILURE(expect_same_models(plain.contexts(), lanes.contexts()));
  const auto p = plain.registers(), l = lanes.registers();
  ASSERT_EQ(8 * p.position - static_cast<size_t>(p.extra), 8 * l.position - static_cast<size_t>(l.extra));
  ASSERT_EQ(p.range, l.range);
  ASSERT_EQ(p.value >> p.extra, l.value >> l.extra);
  CabacDecoder plain_next = plain, lanes_next = lanes;
  for (int i = 0; i < 8; ++i) ASSERT_EQ(plain_next.bypass(0, 16), lanes_next.bypass(0, 16));
}

}  // namespace llmcodec::vvc
