// SPDX-License-Identifier: BSD-3-Clause
// Random numbers that are the same on every machine.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>

namespace llmcodec::vvc {

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}
  int below(int limit) { return static_cast<int>(engine_() % static_cast<uint32_t>(limit)); }
  int between(int low, int high) { return low + below(high - low + 1); }
  bool one_in(int n) { return below(n) == 0; }
  // 2^-fraction_bits grid of a nearly Gaussian number of deviation 1, the same on every machine.
  double normal() {
    int64_t sum = 0;
    for (int i = 0; i < 12; ++i) sum += engine_() >> 8;
    return static_cast<double>(sum) / 16777216.0 - 6.0;
  }
  // Powers of two in between too: all magnitudes are as likely.
  double log_uniform(double low, double high) {
    const int octaves = static_cast<int>(std::log2(high / low));
    return std::min(high, low * (1 << below(octaves + 1)) * (1 + below(16) / 16.0));
  }

 private:
  std::mt19937 engine_;
};

}  // namespace llmcodec::vvc
