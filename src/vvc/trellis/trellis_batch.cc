// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/trellis/trellis_batch.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <vector>

#include "vvc/trellis/trellis_lanes.h"
#include "vvc/trellis/trellis_rates.h"

namespace llmcodec::vvc {
namespace {

// Where 16-bit costs are exact: distortions of 4096 / 256 steps and more must saturate, and 1 / lambda has
// four bits before the point.
constexpr int64_t kLeastInverse = 65536 * 101 / 100, kLargestInverse = 15 * 65536;

// Aligned here and not by the allocator: glibc before 2.38 keeps no room for the padding when it hands aligned memory
// out again, so a small block taken in between costs it all, and a thousand encoders after each other a gigabyte.
class AlignedMemory {
 public:
  explicit AlignedMemory(size_t size) : memory_(size + kAlignment - 1) {}
  std::byte* get() {
    const auto address = reinterpret_cast<uintptr_t>(memory_.data());
    return memory_.data() + (-address & (kAlignment - 1));
  }
  const std::byte* get() const { return const_cast<AlignedMemory*>(this)->get(); }

 private:
  static constexpr size_t kAlignment = 64;
  std::vector<std::byte> memory_;
};

}  // namespace

struct BatchTrellis::Work {
  Work(int log2_width_in, int log2_height_in, const TrellisOptions& options)
      : single(log2_width_in, log2_height_in, options),
        scan(scan_order(log2_width_in, log2_height_in)),
        log2_width(log2_width_in),
        log2_height(log2_height_in),
        inverse_lambda(inverse_lambda_of(options)),
        memory(trellis_memory_size()),
        magnitudes(array_size()),
        levels(array_size()) {}

  size_t array_size() const { return sizeof(uint16_t) * kTrellisLanes * static_cast<size_t>(scan.count); }
  uint16_t* magnitudes_at(int n) {
    return reinterpret_cast<uint16_t*>(magnitudes.get()) + static_cast<size_t>(n) * kTrellisLanes;
  }
  const uint16_t* levels_at(int n) const {
    return reinterpret_cast<const uint16_t*>(levels.get()) + static_cast<size_t>(n) * kTrellisLanes;
  }
  bool spread(int lane, std::span<const int32_t> coefficients);
  void collect(int lane, std::span<const int32_t> coefficients, std::span<int32_t> out) const;

  Trellis single;  // for what the lanes cannot hold
  const ScanOrder& scan;
  int log2_width, log2_height;
  int64_t inverse_lambda;
  LaneRates rates{};
  AlignedMemory memory, magnitudes, levels;
};

// False if a coefficient is too large for a lane.
bool BatchTrellis::Work::spread(int lane, std::span<const int32_t> coefficients) {
  uint32_t largest = 0;
  uint16_t* at = magnitudes_at(0) + lane;
  for (const int32_t c : coefficients) {
    const uint32_t magnitude = static_cast<uint32_t>(std::abs(c));
    largest = std::max(largest, magnitude);
    *at = static_cast<uint16_t>(std::min<uint32_t>(magnitude, kMaxLaneMagnitude));
    at += kTrellisLanes;
  }
  return largest <= kMaxLaneMagnitude;
}

void BatchTrellis::Work::collect(int lane, std::span<const int32_t> coefficients,
                                 std::span<int32_t> out) const {
  const uint16_t* at = levels_at(0) + lane;
  for (size_t n = 0; n < out.size(); ++n, at += kTrellisLanes) {
    const int32_t sign = coefficients[n] >> 31;
    out[n] = (*at ^ sign) - sign;
  }
}

BatchTrellis::BatchTrellis(int log2_width, int log2_height, const TrellisOptions& options)
    : work_(std::make_unique<Work>(log2_width, log2_height, options)) {}
BatchTrellis::~BatchTrellis() = default;
BatchTrellis::BatchTrellis(BatchTrellis&&) noexcept = default;
BatchTrellis& BatchTrellis::operator=(BatchTrellis&&) noexcept = default;

void BatchTrellis::set_rates(const ContextSet& contexts) {
  work_->single.set_rates(contexts);
  work_->rates = lane_rates(trellis_rates(contexts, work_->log2_width, work_->log2_height));
}

void BatchTrellis::quantize(std::span<const int32_t> coefficients, int count, std::span<int32_t> levels,
                            std::span<TrellisResult> results) {
  Work& w = *work_;
  const auto size = static_cast<size_t>(count);
  const auto part = [size](auto all, size_t block) { return all.subspan(block * size, size); };
  bool fits[kMaxBlocks] = {};
  const bool in_lanes = w.inverse_lambda >= kLeastInverse && w.inverse_lambda <= kLargestInverse;
  LaneProblem problem;
  if (in_lanes) {
    for (size_t b = 0; b < results.size(); ++b)
      fits[b] = w.spread(static_cast<int>(b), part(coefficients, b));
    problem.rates = &w.rates;
    problem.scan = &w.scan;
    problem.log2_width = w.log2_width;
    problem.log2_height = w.log2_height;
    problem.count = count;
    problem.lanes = static_cast<int>(results.size());
    problem.inverse_lambda = static_cast<uint32_t>(w.inverse_lambda);
    problem.magnitudes = w.magnitudes_at(0);
    problem.memory = w.memory.get();
    problem.levels = reinterpret_cast<uint16_t*>(w.levels.get());
    quantize_lanes(problem);
  }
  for (size_t b = 0; b < results.size(); ++b) {
    if (!fits[b] || problem.valid[b] == 0) {
      results[b] = w.single.quantize(part(coefficients, b), part(levels, b));
      continue;
    }
    w.collect(static_cast<int>(b), part(coefficients, b), part(levels, b));
    results[b] = {.last = static_cast<int16_t>(problem.last[b]),
                  .final_state = problem.final_state[b],
                  .cost = problem.cost[b]};
  }
}

}  // namespace llmcodec::vvc
