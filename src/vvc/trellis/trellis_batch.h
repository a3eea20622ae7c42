// SPDX-License-Identifier: BSD-3-Clause
// The trellis for many blocks at once, with the same prices. It finds the levels that Trellis finds for each
// of them, many times as fast: by vector instructions, one block in each lane (trellis_lanes.h).
//
// Example (const ContextSet& contexts, std::span<const int32_t> coefficients, int count):
//
//   BatchTrellis batch(5, 5, {.lambda = 0.45});
//   batch.set_rates(contexts);
//   std::vector<int32_t> levels(coefficients.size());
//   TrellisResult results[8];                                  // of 8 blocks, one after the other
//   batch.quantize(coefficients, count, levels, results);
//
// Thread-safety: one BatchTrellis per thread (it owns its working memory, about 0.7 MB).
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "vvc/cabac/contexts.h"
#include "vvc/trellis/trellis.h"

namespace llmcodec::vvc {

class BatchTrellis {
 public:
  static constexpr int kMaxBlocks = 32;

  BatchTrellis(int log2_width, int log2_height, const TrellisOptions& options);
  ~BatchTrellis();
  BatchTrellis(BatchTrellis&&) noexcept;
  BatchTrellis& operator=(BatchTrellis&&) noexcept;

  // As Trellis::set_rates().
  void set_rates(const ContextSet& contexts);

  // results.size() (1..kMaxBlocks) blocks of `count` coefficients each, in scan order, as Trellis::quantize()
  // takes them; `levels` has as many.
  void quantize(std::span<const int32_t> coefficients, int count, std::span<int32_t> levels,
                std::span<TrellisResult> results);

 private:
  struct Work;
  std::unique_ptr<Work> work_;
};

}  // namespace llmcodec::vvc
