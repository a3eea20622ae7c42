// SPDX-License-Identifier: BSD-3-Clause
#include "quant/token_rank.h"

#include <algorithm>

#include "quant/portable_math.h"

namespace llmcodec {

std::vector<float> token_rank_factors(size_t tokens, const TokenRankOptions& options) {
  constexpr double kRankOffset = 300;
  std::vector<double> octaves(tokens);
  double mean = 0;
  for (size_t i = 0; i < tokens; ++i) {
    octaves[i] = options.exponent / 2 * portable_log2(static_cast<double>(i) + kRankOffset);
    mean += octaves[i] / static_cast<double>(tokens);
  }
  const double limit = portable_log2(options.limit);
  std::vector<float> factors(tokens);
  for (size_t i = 0; i < tokens; ++i)
    factors[i] = static_cast<float>(portable_exp2(std::clamp(octaves[i] - mean, -limit, limit)));
  return factors;
}

}  // namespace llmcodec
