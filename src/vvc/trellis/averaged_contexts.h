// SPDX-License-Identifier: BSD-3-Clause
// Models for pricing many blocks at once. The slow average of each model is averaged once more over some
// blocks, so that no single odd block sets the prices of a whole batch.
//
// Example (CabacEncoder& encoder, BatchTrellis& batch, const int32_t* levels, int last):
//
//   AveragedContexts prices(encoder.contexts());
//   encode_residual_in_scan_order(encoder, 5, 5, levels, last);
//   prices.add(encoder.contexts());                            // once for every block written
//   batch.set_rates(prices.contexts());
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "vvc/cabac/contexts.h"

namespace llmcodec::vvc {

class AveragedContexts {
 public:
  explicit AveragedContexts(const ContextSet& contexts) : contexts_(contexts) {}

  // Once for every block of about a thousand samples.
  void add(const ContextSet& contexts) {
    const int span = std::min(1 + blocks_ / 4, kBlocks);  // short at first, when the models move fast
    blocks_ = std::min(blocks_ + 1, 4 * kBlocks);
    for (size_t i = 0; i < contexts.size(); ++i) {
      sums_[i] += (contexts[i].p_state_idx1() << kFraction) / span - sums_[i] / span;
      const auto slow = static_cast<uint32_t>(sums_[i] >> kFraction);
      contexts_[i].states = slow >> 4 << 16 | slow;
    }
  }
  const ContextSet& contexts() const { return contexts_; }

 private:
  static constexpr int kBlocks = 8, kFraction = 8;
  ContextSet contexts_;
  std::array<int, ctx::kCount> sums_{};
  int blocks_ = 0;
};

}  // namespace llmcodec::vvc
