// SPDX-License-Identifier: BSD-3-Clause
// Steps of a token embedding's rows by how often tokens occur, with no text at hand: vocabularies of
// byte-pair and unigram tokenizers list tokens from the most to the least frequent, so that a token's id is
// its rank and its frequency about 1 / (rank + 300) (Zipf-Mandelbrot). A row's damage grows with its
// frequency, so its step goes with frequency^(-exponent/2).
#pragma once

#include <cstddef>
#include <vector>

namespace llmcodec {

struct TokenRankOptions {
  double exponent = 0.75;  // of the frequency
  double limit = 2;        // no step is finer or coarser than the geometric mean by more than this factor
};

// One factor per row of an embedding of `tokens` rows, for ScaleOptions::row_factors.
std::vector<float> token_rank_factors(size_t tokens, const TokenRankOptions& options = {});

}  // namespace llmcodec
