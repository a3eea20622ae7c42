// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/trellis/trellis.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "vvc/residual/level_template.h"
#include "vvc/residual/residual_syntax.h"
#include "vvc/residual/rice.h"
#include "vvc/residual/scan.h"
#include "vvc/trellis/trellis_rates.h"

namespace llmcodec::vvc {
namespace {

constexpr int kStates = 4;
constexpr int kStarted = 4;  // predecessor of a path that begins here; node of a sub-block without levels
constexpr int64_t kImpossible = int64_t{1} << 58;  // a factor of 16 must fit
constexpr int kMaxSubblocks = 64;
constexpr int kOne = 1 << kCoefficientFraction;
// Distances and distortions are clipped here, so that sums of costs fit: the latter to 16 bits for
// trellis_lanes.cc. No level saves 256 bits.
constexpr int64_t kMaxDistance = int64_t{4096} << kCoefficientFraction;
constexpr int64_t kMaxDistortion = 0xffff;

// A path up to some coefficient, with what its further rates depend on.
struct Survivor {
  int64_t cost = kImpossible;
  int budget = 0;             // context bins left in the block
  uint8_t origin = kStarted;  // state at the start of this sub-block, kStarted if the path began in it
  bool any = false;           // a level of this sub-block is non-zero
  // Template sums (level_template.h) of the sub-block's positions.
  alignas(32) uint16_t sums[16] = {};
};

// What a survivor knows of finished sub-blocks: which state it was in at the end
// of each (kStarted: no levels).
struct Path {
  uint8_t node[kMaxSubblocks];
  uint64_t coded;  // sb_coded_flag, bit x + 8 * y
};

// Nearest levels of one coefficient, of each quantiser and parity, with their distortions.
struct Candidates {
  int level[2][2];
  int64_t distortion[2][2];
  int64_t zero_distortion;
};

struct Decision {
  uint16_t level;
  uint8_t previous;  // state before, or kStarted
};

// A path that has not begun.
constexpr Survivor kFresh;

// The ways over one coefficient: from state s (0..3) with level zero (4s),
// the candidate of parity 0 (4s + 1) or of parity 1 (4s + 2);
// a path that begins here takes the two last places of s = 2 and 3, with parity 0 and 1.
constexpr int kBegins[2] = {11, 15};
struct Transitions {
  int64_t cost[16];
  int budget[16];
};

// Which transitions lead into each state (next_state()).
constexpr int kInto[kStates][4] = {{0, 1, 6, 11}, {8, 9, 14, 14}, {2, 4, 5, 15}, {10, 12, 13, 13}};

// For position p of a sub-block: all ones at the positions whose template contains p.
struct TemplateMasks {
  alignas(32) uint16_t mask[16][16];
};

constexpr TemplateMasks kTemplateMasks = [] {
  TemplateMasks masks{};
  for (int p = 0; p < 16; ++p)
    for (int q = 0; q < 16; ++q) masks.mask[p][q] = is_in_template(q, p) ? 0xffff : 0;
  return masks;
}();

static_assert(kCoefficientFraction == kLog2RateBit);  // distortion() relies on it

// target = source + (mask & packed), sixteen 16-bit sums at a time in four words:
// no sum ever leaves its 16 bits.
void add_masked(const uint16_t* source, const uint16_t* mask, uint16_t packed, uint16_t* target) {
  const uint64_t packed_word = packed * uint64_t{0x0001000100010001};
  for (int i = 0; i < 16; i += 4) {
    uint64_t source_word, mask_word;
    std::memcpy(&source_word, source + i, sizeof source_word);
    std::memcpy(&mask_word, mask + i, sizeof mask_word);
    source_word += mask_word & packed_word;
    std::memcpy(target + i, &source_word, sizeof source_word);
  }
}

}  // namespace

int64_t inverse_lambda_of(const TrellisOptions& options) {
  return static_cast<int64_t>(65536.0 / std::max(options.lambda, 1e-3) + 0.5);
}

int32_t nearest_level(int32_t coefficient, int state) {
  constexpr int kLargest = 32766 * kOne;
  const int magnitude = std::min(std::abs(coefficient), kLargest);
  const int level = state < 2 ? (magnitude + kOne) / (2 * kOne) * 2 : magnitude / (2 * kOne) * 2 + 1;
  return coefficient < 0 ? -level : level;
}

struct Trellis::Work {
  Work(int log2_width_in, int log2_height_in, const TrellisOptions& options);

  TrellisResult quantize(std::span<const int32_t> coefficients, std::span<int32_t> levels);
  Candidates candidates(int32_t coefficient) const;
  int64_t distortion(int64_t distance) const {
    const int64_t d = std::min(std::abs(distance), kMaxDistance);
    return std::min((d * d >> kCoefficientFraction) * inverse_lambda >> 16, kMaxDistortion);
  }
  void begin_subblock(int i);
  void end_subblock(int i);
  void step(int n, const Candidates& candidates, int64_t zero_tail);
  void extend(int state, int n, const Candidates& candidates, Transitions& out) const;
  void extend_with_contexts(int state, int n, const Candidates& candidates, Transitions& out) const;
  void extend_bypass(int state, int n, const Candidates& candidates, Transitions& out) const;
  void start_here(int n, const Candidates& candidates, int64_t zero_tail, Transitions& out) const;
  void adopt(int n, const Candidates& candidates, const Transitions& transitions);
  void outside_sums(int i, const Path& path, uint16_t* sums) const;
  TrellisResult trace_back(int count, std::span<const int32_t> coefficients, std::span<int32_t> levels) const;

  const ScanOrder& scan;
  int log2_width, log2_height, subblocks_x, subblocks_y;
  int64_t inverse_lambda;                               // 2^16 / lambda: bits per squared Du
  std::array<std::array<uint8_t, 8>, 8> subblock_at{};  // scan index by [y][x]
  TrellisRates rates;

  std::array<Survivor, kStates> survivors[2];
  Survivor* now = nullptr;
  Survivor* next = nullptr;
  std::array<Path, kStates> paths[2];
  int path_buffer = 0;
  std::array<int64_t, kStates> skip_cost;  // of leaving the sub-block empty, by state
  std::array<int, kStates> skip_budget;
  int64_t zero_of_subblock = 0;
  int inferred_position = -1;  // where sig_coeff_flag is inferred if nothing came before
  std::array<std::array<Decision, kStates>, 1024> decisions;
  std::array<uint8_t, kMaxSubblocks> skipped;  // bit t: the survivor that ended in state t left it empty
  // Packed levels of each finished sub-block, by scan index inside it, for each end state;
  // [kStarted] is all zero.
  std::array<std::array<std::array<uint16_t, 16>, kStates + 1>, kMaxSubblocks> nodes;
};

Trellis::Work::Work(int log2_width_in, int log2_height_in, const TrellisOptions& options)
    : scan(scan_order(log2_width_in, log2_height_in)),
      log2_width(log2_width_in),
      log2_height(log2_height_in),
      subblocks_x(1 << (std::min(log2_width, 5) - 2)),
      subblocks_y(1 << (std::min(log2_height, 5) - 2)) {
  inverse_lambda = inverse_lambda_of(options);
  for (int i = 0; i < scan.count / 16; ++i)
    subblock_at[scan.subblock_y[i]][scan.subblock_x[i]] = static_cast<uint8_t>(i);
  for (auto& node : nodes) node[kStarted].fill(0);
}

Candidates Trellis::Work::candidates(int32_t coefficient) const {
  constexpr int kLargest = 32767 * kOne;
  const int magnitude = std::min(std::abs(coefficient), kLargest);
  // Multiples of the step that a quantiser offers with one parity lie 4 apart:
  // 4j, 4j + 2 (Q0), 4j + 1, 4j + 3 (Q1).
  const auto nearest = [magnitude](int offset, int least) {
    return std::clamp((magnitude - offset * kOne + 2 * kOne) >> (kCoefficientFraction + 2), least, 8191);
  };
  const int even = nearest(0, 1), q0_odd = nearest(2, 0), q1_odd = nearest(1, 0), q1_even = nearest(3, 0);
  Candidates result;
  const auto set = [&](int quantiser, int parity, int level, int index) {
    result.level[quantiser][parity] = level;
    result.distortion[quantiser][parity] = distortion(magnitude - int64_t{index} * kOne);
  };
  set(0, 0, 2 * even, 4 * even);
  set(0, 1, 2 * q0_odd + 1, 4 * q0_odd + 2);
  set(1, 1, 2 * q1_odd + 1, 4 * q1_odd + 1);
  set(1, 0, 2 * q1_even + 2, 4 * q1_even + 3);
  result.zero_distortion = distortion(magnitude);
  return result;
}

// Template sums that the finished neighbours right of, below and diagonally below sub-block `i` contribute.
void Trellis::Work::outside_sums(int i, const Path& path, uint16_t* sums) const {
  const int x = scan.subblock_x[i], y = scan.subblock_y[i];
  const auto node_at = [&](int sx, int sy) -> const std::array<uint16_t, 16>& {
    if (sx >= subblocks_x || sy >= subblocks_y) return nodes[0][kStarted];
    const int j = subblock_at[sy][sx];
    return nodes[j][path.node[j]];
  };
  constexpr auto& kAt = kSubblockScan.at;
  const auto &right = node_at(x + 1, y), &below = node_at(x, y + 1), &corner = node_at(x + 1, y + 1);
  std::memset(sums, 0, 16 * sizeof *sums);
  const auto add = [sums](int at, int value) { sums[at] = static_cast<uint16_t>(sums[at] + value); };
  for (int k = 0; k < 4; ++k) {
    add(kAt[k][2], right[kAt[k][0]]);
    add(kAt[k][3], right[kAt[k][0]] + right[kAt[k][1]] + (k < 3 ? right[kAt[k + 1][0]] : corner[0]));
    add(kAt[2][k], below[kAt[0][k]]);
    add(kAt[3][k], below[kAt[0][k]] + below[kAt[1][k]] + (k < 3 ? below[kAt[0][k + 1]] : 0));
  }
}

void Trellis::Work::begin_subblock(int i) {
  inferred_position = i > 0 ? 16 * i : -1;
  const int x = scan.subblock_x[i], y = scan.subblock_y[i];
  for (int s = 0; s < kStates; ++s) {
    Survivor& survivor = now[s];
    skip_cost[s] = kImpossible;
    if (survivor.cost >= kImpossible) continue;
    const Path& path = paths[path_buffer][s];
    if (i > 0) {
      const bool right = x + 1 < subblocks_x && (path.coded >> (x + 1 + 8 * y) & 1);
      const bool below = y + 1 < subblocks_y && (path.coded >> (x + 8 * (y + 1)) & 1);
      skip_cost[s] = survivor.cost + rates.sb_coded[right || below][0] + zero_of_subblock;
      skip_budget[s] = survivor.budget;
      survivor.cost += rates.sb_coded[right || below][1];
    }
    survivor.origin = static_cast<uint8_t>(s);
    survivor.any = false;
    outside_sums(i, path, survivor.sums);
  }
}

void Trellis::Work::end_subblock(int i) {
  const int x = scan.subblock_x[i], y = scan.subblock_y[i];
  const auto& old_paths = paths[path_buffer];
  auto& new_paths = paths[path_buffer ^ 1];
  skipped[i] = 0;
  for (int t = 0; t < kStates; ++t) {
    Survivor& survivor = now[t];
    if (skip_cost[t] < survivor.cost) {
      survivor.cost = skip_cost[t];
      survivor.budget = skip_budget[t];
      skipped[i] = static_cast<uint8_t>(skipped[i] | 1u << t);
      new_paths[t] = old_paths[t];
      new_paths[t].node[i] = kStarted;
      continue;
    }
    if (survivor.cost >= kImpossible) continue;
    if (survivor.origin == kStarted) {
      std::memset(new_paths[t].node, kStarted, sizeof new_paths[t].node);
      new_paths[t].coded = 0;
    } else {
      new_paths[t] = old_paths[survivor.origin];
    }
    new_paths[t].node[i] = static_cast<uint8_t>(t);
    new_paths[t].coded |= uint64_t{1} << (x + 8 * y);
    auto& node = nodes[i][t];
    node.fill(0);
    for (int p = 0, state = t; p < 16 && state != kStarted; ++p) {
      const Decision& decision = decisions[16 * i + p][state];
      if (decision.level != 0) node[p] = packed_level(decision.level);
      state = decision.previous;
    }
  }
  path_buffer ^= 1;
}

void Trellis::Work::extend_with_contexts(int state, int n, const Candidates& candidates,
                                         Transitions& out) const {
  const Survivor& survivor = now[state];
  const ScanEntry& place = scan[n];
  const uint16_t sums = survivor.sums[n & 15];
  const bool inferred = n == inferred_position && !survivor.any;
  const auto& increments = kTemplateIncrements[sums & 0xff];
  const uint32_t* sig = rates.sig[std::max(0, state - 1)][increments.sig + place.sig_offset];
  const uint32_t* level_rate = rates.level[increments.greater + place.greater_offset];
  const int rice = rice_parameter((sums >> 8) - kRemainderSum);
  const int budget = survivor.budget - (inferred ? 0 : 1);
  int64_t* cost = out.cost + 4 * state;
  int* left = out.budget + 4 * state;
  cost[0] = inferred ? kImpossible : survivor.cost + sig[0] + candidates.zero_distortion;
  left[0] = budget;
  const int64_t base = survivor.cost + (inferred ? 0 : sig[1]);
  for (int parity = 0; parity < 2; ++parity) {
    const int level = candidates.level[state >> 1][parity];
    cost[1 + parity] = base + candidates.distortion[state >> 1][parity] +
                       level_rate[level < 4 ? level : 4 + parity] + remainder_rate(level, rice);
    left[1 + parity] = budget - (level == 1 ? 1 : 3);
  }
}

void Trellis::Work::extend_bypass(int state, int n, const Candidates& candidates, Transitions& out) const {
  const Survivor& survivor = now[state];
  const int rice = rice_parameter(survivor.sums[n & 15] >> 8);
  const int zero = zero_position(state, rice);
  int64_t* cost = out.cost + 4 * state;
  std::fill_n(out.budget + 4 * state, 3, survivor.budget);
  cost[0] = survivor.cost + rice_rate(zero, rice) + candidates.zero_distortion;
  for (int parity = 0; parity < 2; ++parity) {
    const int level = candidates.level[state >> 1][parity];
    cost[1 + parity] = survivor.cost + candidates.distortion[state >> 1][parity] + kRateBit +
                       rice_rate(level <= zero ? level - 1 : level, rice);
  }
}

void Trellis::Work::extend(int state, int n, const Candidates& candidates, Transitions& out) const {
  if (now[state].cost >= kImpossible)
    std::fill_n(out.cost + 4 * state, 3, kImpossible);
  else if (now[state].budget >= 4)
    extend_with_contexts(state, n, candidates, out);
  else
    extend_bypass(state, n, candidates, out);
}

// The path whose last non-zero coefficient is this one: everything behind it is zero.
void Trellis::Work::start_here(int n, const Candidates& candidates, int64_t zero_tail,
                               Transitions& out) const {
  const ScanEntry& place = scan[n];
  const int64_t base = zero_tail + rates.tu_coded[1] + rates.last_x[place.x] + rates.last_y[place.y];
  const int budget = context_bin_budget(log2_width, log2_height);
  for (int parity = 0; parity < 2; ++parity) {
    const int level = candidates.level[0][parity];
    out.cost[kBegins[parity]] = base + candidates.distortion[0][parity] +
                                rates.level[0][level < 4 ? level : 4 + parity] + remainder_rate(level, 0);
    out.budget[kBegins[parity]] = budget - (level == 1 ? 1 : 3);
  }
}

// Moves the four survivors over coefficient n, each along the cheapest way into its state;
// the first on equal cost.
void Trellis::Work::adopt(int n, const Candidates& candidates, const Transitions& transitions) {
  const uint16_t* mask = kTemplateMasks.mask[n & 15];
  for (int t = 0; t < kStates; ++t) {
    int64_t key = INT64_MAX;  // cost and index in one number: no branch on what noise decides
    for (int i : kInto[t]) key = std::min(key, transitions.cost[i] * 16 + i);
    Survivor& survivor = next[t];
    survivor.cost = key >> 4;
    if (survivor.cost >= kImpossible) continue;
    const int way = static_cast<int>(key & 15);
    const bool begins = (way & 3) == 3;
    const int before = begins ? kStarted : way >> 2;
    const int kind = begins ? way >> 2 : (way & 3) + 1;  // 1: zero, 2: parity 0, 3: parity 1
    const int level = kind == 1 ? 0 : candidates.level[before >> 1 & 1][kind - 2];
    const Survivor& from = before == kStarted ? kFresh : now[before];
    decisions[n][t] = {static_cast<uint16_t>(level), static_cast<uint8_t>(before)};
    survivor.budget = transitions.budget[way];
    survivor.origin = from.origin;
    survivor.any = from.any || level != 0;
    add_masked(from.sums, mask, level == 0 ? uint16_t{0} : packed_level(level), survivor.sums);
  }
  std::swap(now, next);
}

void Trellis::Work::step(int n, const Candidates& candidates, int64_t zero_tail) {
  Transitions transitions;
  for (int s = 0; s < kStates; ++s) extend(s, n, candidates, transitions);
  start_here(n, candidates, zero_tail, transitions);
  adopt(n, candidates, transitions);
}

TrellisResult Trellis::Work::trace_back(int count, std::span<const int32_t> coefficients,
                                        std::span<int32_t> levels) const {
  TrellisResult result;
  int state = 0;
  for (int t = 1; t < kStates; ++t)
    if (now[t].cost < now[state].cost) state = t;
  result.cost = now[state].cost;
  for (int n = 0; n < count; ++n) {
    if ((n & 15) == 0 && (skipped[n >> 4] >> state & 1)) {
      n += 15;
      continue;
    }
    const Decision& decision = decisions[n][state];
    const int before = decision.previous == kStarted ? 0 : decision.previous;
    if (n == 0) result.final_state = before;
    if (decision.level != 0) {
      const int magnitude = 2 * decision.level - (before >> 1);
      levels[n] = coefficients[n] < 0 ? -magnitude : magnitude;
      result.last = n;
    }
    if (decision.previous == kStarted) break;
    state = decision.previous;
  }
  return result;
}

TrellisResult Trellis::Work::quantize(std::span<const int32_t> coefficients, std::span<int32_t> levels) {
  const int count = static_cast<int>(coefficients.size());
  std::fill(levels.begin(), levels.end(), 0);
  now = survivors[0].data();
  next = survivors[1].data();
  for (int s = 0; s < kStates; ++s) now[s].cost = kImpossible;
  path_buffer = 0;
  int64_t zero_tail = 0;
  std::array<Candidates, 16> block;
  for (int i = (count - 1) >> 4; i >= 0; --i) {
    const int top = std::min(16 * i + 15, count - 1);
    zero_of_subblock = 0;
    for (int n = 16 * i; n <= top; ++n) {
      block[n & 15] = candidates(coefficients[n]);
      zero_of_subblock += block[n & 15].zero_distortion;
    }
    begin_subblock(i);
    for (int n = top; n >= 16 * i; --n) {
      step(n, block[n & 15], zero_tail);
      zero_tail += block[n & 15].zero_distortion;
    }
    end_subblock(i);
  }
  const int64_t empty = zero_tail + rates.tu_coded[0];
  TrellisResult result{.last = -1, .final_state = 0, .cost = empty};
  if (std::min({now[0].cost, now[1].cost, now[2].cost, now[3].cost}) < empty)
    result = trace_back(count, coefficients, levels);
  return result;
}

Trellis::Trellis(int log2_width, int log2_height, const TrellisOptions& options)
    : work_(std::make_unique<Work>(log2_width, log2_height, options)) {}
Trellis::~Trellis() = default;
Trellis::Trellis(Trellis&&) noexcept = default;
Trellis& Trellis::operator=(Trellis&&) noexcept = default;

void Trellis::set_rates(const ContextSet& contexts) {
  work_->rates = trellis_rates(contexts, work_->log2_width, work_->log2_height);
}

TrellisResult Trellis::quantize(std::span<const int32_t> coefficients, std::span<int32_t> levels) {
  return work_->quantize(coefficients, levels);
}

}  // namespace llmcodec::vvc
