// SPDX-License-Identifier: BSD-3-Clause
// Attention for the vectors of the estimate of moments: sequences of kContext tokens, softmax and all, forwards and
// backwards. The same bits on any CPU and any number of threads.
#pragma once

#include "estimate/noise_vectors.h"

namespace llmcodec {

struct HeadShape {
  uint64_t heads = 0, kv_heads = 0, width = 0;
  double score_factor = 1;
  bool looks_ahead = false;  // tokens see those behind them too
  std::vector<float> sinks;  // per head a score of what takes its share and gives nothing; or none
};

// Rotary positions: turns the first `rotated` elements of each head of `head_width` by the token's place in its
// sequence; `back` turns them back.
struct Turning {
  Rotation rotation = Rotation::kNone;
  uint64_t head_width = 0, rotated = 0;
  double base = 10000;
};
void turn(const Turning& turning, bool back, Vectors* vectors);

// The values that each head of each token sees, `heads` heads of them.
Vectors attend(const HeadShape& shape, const Vectors& query, const Vectors& key, const Vectors& value,
               unsigned threads);

struct AttentionGradients {
  Vectors query, key, value;
};
// By queries, keys and values (each up to its sign), from gradients by what attend() returns.
AttentionGradients through_attention(const HeadShape& shape, const AttentionGradients& inputs,
                                     const Vectors& gradients, unsigned threads);

}  // namespace llmcodec
