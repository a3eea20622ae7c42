// SPDX-License-Identifier: BSD-3-Clause
// The steps are those of trellis.cc, which explains them; here only what differs. Costs are 16-bit, counted
// from the least cost eight coefficients ago or less (`rebase`), and saturate: 0xffff means "no such path"
// and stays so. A block whose best path rises by 128 bits in between is reported as not valid; so whatever
// saturates is 128 bits worse than the best path, more than a path that later becomes the best can lack.
//
// A survivor's sixteen slots hold the template sums of the coefficients still to come and the packed levels
// of those already passed: at the end of a sub-block they are its levels.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "vvc/trellis/trellis_lanes.cc"
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_RVV | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128)
#endif
// Highway's own order: this header first, then the rest once per target.
// clang-format off
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

#include <algorithm>

#include "vvc/residual/residual_syntax.h"
#include "vvc/trellis/trellis_candidates-inl.h"
#include "vvc/trellis/trellis_lanes.h"
#include "vvc/trellis/trellis_memory.h"

HWY_BEFORE_NAMESPACE();
namespace llmcodec::vvc::HWY_NAMESPACE {
#if HWY_TARGET == HWY_SCALAR
// Without vectors there is nothing to win: every block goes to Trellis.
void quantize_lanes_here(LaneProblem& problem) {
  std::fill(problem.valid, problem.valid + kTrellisLanes, uint16_t{0});
}
#else
using Memory = TrellisMemory<kN>;

// The ways on from one state: the cheaper one of zero and the even level, and the odd level.
struct Ways {
  HWY_INLINE Ways() {}
  V even, odd;  // costs
  V even_level, even_packed;
  V even_budget, odd_budget;
};

class Search {
 public:
  Search(LaneProblem& problem, size_t first)
      : p_(problem),
        w_(*static_cast<Memory*>(problem.memory)),
        rates_(*problem.rates),
        first_(first),
        distortion_(problem.inverse_lambda) {}

  void run() {
    reset();
    for (int i = (p_.count - 1) >> 4; i >= 0; --i) {
      const int top = std::min(16 * i + 15, p_.count - 1);
      begin_subblock(i, top);
      for (int n = top; n >= 16 * i; --n) {
        step(i, n);
        if ((n & 15) == 8) rebase();
      }
      end_subblock(i);
    }
    trace_back();
  }

 private:
  HWY_INLINE V magnitude(int n) const {
    return load(p_.magnitudes + static_cast<size_t>(n) * kTrellisLanes + first_);
  }

  void reset() {
    for (int s = 0; s < kStates; ++s) {
      hn::Store(set(kDead), d, w_.cost[s]);
      hn::Store(set(0), d, w_.budget[s]);
      hn::Store(set(0), d, w_.any[s]);
      hn::Store(set(kStarted), d, w_.origin[s]);
      for (auto& row : w_.row_nodes[s]) hn::Store(set(kStarted | kStarted << 3), d, row);
    }
    hn::Store(set(0), d, w_.zero_tail);
    hn::Store(set(0xffff), d, w_.valid);
    std::fill(w_.base, w_.base + kN, 0u);
  }

  // --- sub-blocks

  // Template sums from the finished neighbours right of, below and diagonally below the sub-block.
  void outside_sums(int i, int s) {
    const int x = p_.scan->subblock_x[i], y = p_.scan->subblock_y[i];
    const V right_nodes = load(w_.row_nodes[s][y]), below_nodes = load(w_.row_nodes[s][y + 1]);
    const NodeMasks right(right_nodes & set(7)), below(below_nodes & set(7)),
        corner(hn::ShiftRight<3>(below_nodes));
    const auto& from_right = w_.to_left[y][(x + 1) & 1];
    const auto& from_below = w_.to_above[std::min(y + 1, 7)][x & 1];
    const auto& from_corner = w_.corner[std::min(y + 1, 7)][(x + 1) & 1];
    V sums[4][4];  // [y][x]
    for (int k = 0; k < 4; ++k) {
      sums[0][k] = sums[1][k] = set(0);
    }
    for (int k = 0; k < 4; ++k) {
      sums[2][k] = below.pick(from_below, k);
      sums[3][k] = below.pick(from_below, 4 + k);
    }
    for (int k = 0; k < 4; ++k) {
      sums[k][2] = sums[k][2] + right.pick(from_right, k);
      sums[k][3] = sums[k][3] + right.pick(from_right, 4 + k);
    }
    sums[3][3] = sums[3][3] + corner.pick(from_corner);
    for (int yy = 0; yy < 4; ++yy)
      for (int xx = 0; xx < 4; ++xx) hn::Store(sums[yy][xx], d, w_.slots[kSubblockScan.at[yy][xx]][s]);
  }

  // Which of the four end states a neighbour has, if any.
  struct NodeMasks {
    explicit NodeMasks(V node) {
      for (int t = 0; t < kStates; ++t) is[t] = hn::VecFromMask(d, node == set(t));
    }
    HWY_INLINE V pick(const uint16_t (*of)[8][kN], int k) const {
      return (is[0] & load(of[0][k])) | (is[1] & load(of[1][k])) | (is[2] & load(of[2][k])) |
             (is[3] & load(of[3][k]));
    }
    HWY_INLINE V pick(const uint16_t (*of)[kN]) const {
      return (is[0] & load(of[0])) | (is[1] & load(of[1])) | (is[2] & load(of[2])) | (is[3] & load(of[3]));
    }
    V is[kStates];
  };

  void begin_subblock(int i, int top) {
    V zeros = set(0);
    for (int n = 16 * i; n <= top; ++n) zeros = hn::SaturatedAdd(zeros, distortion_(magnitude(n), set(0)));
    const int y = p_.scan->subblock_y[i];
    for (int s = 0; s < kStates; ++s) {
      const V cost = load(w_.cost[s]);
      if (i > 0) {
        const V nodes = load(w_.row_nodes[s][y]) & set(7), below = load(w_.row_nodes[s][y + 1]) & set(7);
        const M none = hn::And(nodes == set(kStarted), below == set(kStarted));
        const auto flag = [&](int value) HWY_ATTR {
          return hn::IfThenElse(none, set(rates_.sb_coded[0][value]), set(rates_.sb_coded[1][value]));
        };
        hn::Store(hn::SaturatedAdd(hn::SaturatedAdd(cost, flag(0)), zeros), d, w_.skip_cost[s]);
        hn::Store(hn::SaturatedAdd(cost, flag(1)), d, w_.cost[s]);
      } else {
        hn::Store(set(kDead), d, w_.skip_cost[s]);
      }
      hn::Store(load(w_.budget[s]), d, w_.skip_budget[s]);
      hn::Store(set(0), d, w_.any[s]);
      hn::Store(set(s), d, w_.origin[s]);
      outside_sums(i, s);
    }
  }

  // Levels of the sub-block on the path that ends in state t, as sums for its neighbours.
  HWY_INLINE void publish(int x, int y, int t) {
    const auto level = [&](int yy, int xx) HWY_ATTR { return load(w_.slots[kSubblockScan.at[yy][xx]][t]); };
    auto& left = w_.to_left[y][x & 1][t];
    auto& above = w_.to_above[y][x & 1][t];
    for (int k = 0; k < 4; ++k) {
      hn::Store(level(k, 0), d, left[k]);
      hn::Store(level(0, k), d, above[k]);
      V left_far = level(k, 0) + level(k, 1), above_far = level(0, k) + level(1, k);
      if (k < 3) {
        left_far = left_far + level(k + 1, 0);
        above_far = above_far + level(0, k + 1);
      }
      hn::Store(left_far, d, left[4 + k]);
      hn::Store(above_far, d, above[4 + k]);
    }
    hn::Store(level(0, 0), d, w_.corner[y][x & 1][t]);
  }

  // Row nodes follow the paths: those of the state where each path was when the sub-block began.
  void update_nodes(int y, const V skip[kStates]) {
    V origin[kStates];
    for (int t = 0; t < kStates; ++t) origin[t] = hn::IfVecThenElse(skip[t], set(t), load(w_.origin[t]));
    for (int row = 0; row < 8; ++row) {
      V old[kStates];
      for (int s = 0; s < kStates; ++s) old[s] = load(w_.row_nodes[s][row]);
      for (int t = 0; t < kStates; ++t) {
        V nodes = by_state(origin[t], old[0], old[1], old[2], old[3]);
        nodes = hn::IfThenElse(origin[t] == set(kStarted), set(kStarted | kStarted << 3), nodes);
        if (row == y)
          nodes = hn::ShiftLeft<3>(nodes & set(7)) | hn::IfVecThenElse(skip[t], set(kStarted), set(t));
        hn::Store(nodes, d, w_.row_nodes[t][row]);
      }
    }
  }

  void end_subblock(int i) {
    const int x = p_.scan->subblock_x[i], y = p_.scan->subblock_y[i];
    V skip[kStates];
    for (int t = 0; t < kStates; ++t) {
      const V cost = load(w_.cost[t]), skip_cost = load(w_.skip_cost[t]);
      const M better = skip_cost < cost;
      skip[t] = hn::VecFromMask(d, better);
      hn::Store(skip[t], d, w_.skipped[i][t]);
      hn::Store(hn::Min(cost, skip_cost), d, w_.cost[t]);
      hn::Store(hn::IfThenElse(better, load(w_.skip_budget[t]), load(w_.budget[t])), d, w_.budget[t]);
      publish(x, y, t);
    }
    update_nodes(y, skip);
    rebase();
  }

  // Counts all costs from the least one.
  void rebase() {
    V least = load(w_.zero_tail);
    for (int s = 0; s < kStates; ++s)
      least = hn::Min(least, hn::Min(load(w_.cost[s]), load(w_.skip_cost[s])));
    const auto lower = [least](uint16_t* at) HWY_ATTR {
      const V cost = load(at);
      hn::Store(hn::IfThenElse(cost == set(kDead), cost, cost - least), d, at);
    };
    for (int s = 0; s < kStates; ++s) {
      lower(w_.cost[s]);
      lower(w_.skip_cost[s]);
    }
    lower(w_.zero_tail);
    hn::Store(load(w_.valid) & hn::VecFromMask(d, least < set(0x8000)), d, w_.valid);
    alignas(64) uint16_t amount[kN];
    hn::Store(least, d, amount);
    for (size_t lane = 0; lane < kN; ++lane) w_.base[lane] += amount[lane];
  }

  // --- one coefficient

  // sig_coeff_flag in state `s`: the prices of its values, and the budget that it leaves.
  struct SigPrices {
    HWY_INLINE SigPrices() {}
    V zero, one, budget;
  };
  HWY_INLINE SigPrices sig_prices(int s, int i, int n, V pass1, V budget) const {
    const uint16_t* prices = rates_.sig[std::max(0, s - 1)][(*p_.scan)[n].sig_offset / 4];
    const auto table = hn::LoadDup128(d8, reinterpret_cast<const uint8_t*>(prices));
    const V bytes = hn::Min(hn::ShiftRight<1>(pass1 + set(1)), set(3)) * set(0x0202) + set(0x0100);
    SigPrices sig;
    sig.zero = hn::BitCast(d, hn::TableLookupBytes(table, hn::BitCast(d8, bytes)));
    sig.one = hn::BitCast(d, hn::TableLookupBytes(table, hn::BitCast(d8, bytes + set(0x0808))));
    sig.budget = budget - set(1);
    if (n == 16 * i && i > 0) {  // a coded sub-block without levels so far: inferred
      const M inferred = load(w_.any[s]) == set(0);
      sig.zero = hn::IfThenElse(inferred, set(kDead), sig.zero);
      sig.one = hn::IfThenZeroElse(inferred, sig.one);
      sig.budget = hn::IfThenElse(inferred, budget, sig.budget);
    }
    return sig;
  }

  // Costs of zero, the even and the odd level after one state, and the budgets that they leave.
  struct Costs {
    HWY_INLINE Costs() {}
    V zero, even, odd;
    V zero_budget, even_budget, odd_budget;
  };
  HWY_INLINE Costs with_contexts(int s, int i, int n, V sums, V budget, Candidates& c) const {
    const V cost = load(w_.cost[s]), pass1 = sums & set(31);
    const V greater = hn::Min(pass1 - (hn::ShiftRight<5>(sums) & set(7)), set(4));
    const SigPrices sig = sig_prices(s, i, n, pass1, budget);
    const int q = s >> 1, row = (*p_.scan)[n].greater_offset / 5;
    const Candidate &even = c.of[q][0], &odd = c.of[q][1];
    V even_base = even.base, odd_base = odd.base;
    if (c.large && !hn::AllTrue(d, sums < set((kRemainderSum + kRiceThresholds[0]) << 8))) {
      if (!c.lengths.has_remainders) make_remainders(c);
      const V rice = rice_of(hn::SaturatedSub(hn::ShiftRight<8>(sums), set(kRemainderSum)));
      even_base = hn::SaturatedAdd(even.distortion, by_rice(c.lengths.remainder[q][0], rice));
      odd_base = hn::SaturatedAdd(odd.distortion, by_rice(c.lengths.remainder[q][1], rice));
    }
    const V even_rate = look_up(rates_.even[row], greater + greater + even.category);
    const V odd_rate = look_up(rates_.odd[row], greater + greater + greater + odd.category);
    Costs costs;
    costs.zero = hn::SaturatedAdd(cost, hn::SaturatedAdd(sig.zero, c.zero));
    costs.even = hn::SaturatedAdd(cost, hn::SaturatedAdd(sig.one + even_rate, even_base));
    costs.odd = hn::SaturatedAdd(cost, hn::SaturatedAdd(sig.one + odd_rate, odd_base));
    costs.zero_budget = sig.budget;
    costs.even_budget = sig.budget - set(3);
    costs.odd_budget = sig.budget - hn::IfThenElse(odd.category == set(0), set(1), set(3));
    return costs;
  }

  // The lanes whose budget of context bins is spent: bypass codes in place of what with_contexts() has found.
  HWY_INLINE void replace_spent(int s, V sums, V budget, M spent, Candidates& c, Costs& costs) const {
    if (!c.lengths.has_bypass) make_bypass(c);
    const int q = s >> 1;
    const V cost = load(w_.cost[s]), rice = rice_of(hn::ShiftRight<8>(sums));
    const auto replace = [&](V& with_contexts, V distortion, V length) HWY_ATTR {
      const V bypass = hn::SaturatedAdd(cost, hn::SaturatedAdd(distortion, length));
      with_contexts = hn::IfThenElse(spent, bypass, with_contexts);
    };
    replace(costs.zero, c.zero, hn::ShiftLeft<8>(rice + set(2 + q)));
    replace(costs.even, c.of[q][0].distortion, by_rice(c.lengths.bypass[q][0], rice));
    replace(costs.odd, c.of[q][1].distortion, by_rice(c.lengths.bypass[q][1], rice));
    for (V* left : {&costs.zero_budget, &costs.even_budget, &costs.odd_budget})
      *left = hn::IfThenElse(spent, budget, *left);
  }

  HWY_INLINE Ways extend(int s, int i, int n, Candidates& c) const {
    const V budget = load(w_.budget[s]), sums = load(w_.slots[n & 15][s]);
    Costs costs = with_contexts(s, i, n, sums, budget, c);
    const M spent = budget < set(4);
    if (!hn::AllFalse(d, spent)) replace_spent(s, sums, budget, spent, c, costs);
    const M level_wins = costs.even < costs.zero;
    const Candidate& even = c.of[s >> 1][0];
    Ways w;
    w.even = hn::Min(costs.even, costs.zero);
    w.odd = costs.odd;
    w.even_level = hn::IfThenElseZero(level_wins, even.level);
    w.even_packed = hn::IfThenElseZero(level_wins, even.packed);
    w.even_budget = hn::IfThenElse(level_wins, costs.even_budget, costs.zero_budget);
    w.odd_budget = costs.odd_budget;
    return w;
  }

  // What arrives in one state.
  struct Arrival {
    HWY_INLINE Arrival() {}
    V cost, level, packed, budget, before;
    M from_second;  // of the two states that lead here
    M begins;
  };

  // From the even way of one state and the odd way of the other;
  // `even_first`: the even way is that of the first.
  static HWY_INLINE Arrival merge(const Ways& even, const Ways& odd, const Candidate& odd_candidate,
                                  int even_state, int odd_state) {
    const bool even_first = even_state < odd_state;
    const M odd_wins = even_first ? odd.odd < even.even : hn::Not(even.even < odd.odd);
    Arrival a;
    a.cost = hn::Min(even.even, odd.odd);
    a.level = hn::IfThenElse(odd_wins, odd_candidate.level, even.even_level);
    a.packed = hn::IfThenElse(odd_wins, odd_candidate.packed, even.even_packed);
    a.budget = hn::IfThenElse(odd_wins, odd.odd_budget, even.even_budget);
    a.before = hn::IfThenElse(odd_wins, set(odd_state), set(even_state));
    a.from_second = even_first ? odd_wins : hn::Not(odd_wins);
    return a;
  }

  // The paths whose last level is this one; states 0 and 2 only.
  HWY_INLINE void start_here(int n, const Candidates& c, Arrival& a, int parity) {
    const ScanEntry& place = (*p_.scan)[n];
    const Candidate& candidate = c.of[0][parity];
    V rate = parity == 0 ? by_state(candidate.category, set(rates_.start_even[0]), set(rates_.start_even[1]),
                                    set(0), set(0))
                         : by_state(candidate.category, set(rates_.start_odd[0]), set(rates_.start_odd[1]),
                                    set(rates_.start_odd[2]), set(0));
    rate = rate + set(rates_.tu_coded[1] + rates_.last_x[place.x] + rates_.last_y[place.y]);
    const V cost = hn::SaturatedAdd(load(w_.zero_tail), hn::SaturatedAdd(rate, candidate.base));
    a.begins = cost < a.cost;
    a.cost = hn::Min(cost, a.cost);
    a.level = hn::IfThenElse(a.begins, candidate.level, a.level);
    a.packed = hn::IfThenElse(a.begins, candidate.packed, a.packed);
    const V bins = hn::IfThenElse(candidate.level == set(1), set(1), set(3));
    a.budget =
        hn::IfThenElse(a.begins, set(context_bin_budget(p_.log2_width, p_.log2_height)) - bins, a.budget);
    a.before = hn::IfThenElse(a.begins, set(kStarted), a.before);
  }

  void step(int i, int n) {
    Candidates c;
    find_candidates(distortion_, magnitude(n), c);
    const Ways w0 = extend(0, i, n, c), w1 = extend(1, i, n, c), w2 = extend(2, i, n, c),
               w3 = extend(3, i, n, c);
    Arrival to[kStates] = {merge(w0, w1, c.of[0][1], 0, 1), merge(w2, w3, c.of[1][1], 2, 3),
                           merge(w1, w0, c.of[0][1], 1, 0), merge(w3, w2, c.of[1][1], 3, 2)};
    const V zero_tail = load(w_.zero_tail);
    const bool may_begin = !hn::AllTrue(d, hn::Max(to[0].cost, to[2].cost) < zero_tail);
    if (may_begin) {
      start_here(n, c, to[0], 0);
      start_here(n, c, to[2], 1);
      adopt<true>(n, to);
    } else {
      adopt<false>(n, to);
    }
    hn::Store(hn::SaturatedAdd(zero_tail, c.zero), d, w_.zero_tail);
  }

  // States 0 and 2 follow 0 or 1, states 1 and 3 follow 2 or 3.
  template <bool kBegins>
  static HWY_INLINE V follow(const uint16_t (*of)[kN], const Arrival& a, int t) {
    const int first = t & 1 ? 2 : 0;
    const V v = hn::IfThenElse(a.from_second, load(of[first + 1]), load(of[first]));
    if constexpr (kBegins) return t & 1 ? v : hn::IfThenZeroElse(a.begins, v);
    return v;
  }

  template <bool kBegins>
  HWY_INLINE void carry(uint16_t (*of)[kN], const Arrival* to, V* out) {
    for (int t = 0; t < kStates; ++t) out[t] = follow<kBegins>(of, to[t], t);
  }

  template <bool kBegins>
  void adopt(int n, const Arrival* to) {
    V v[kStates];
    for (int t = 0; t < kStates; ++t) {
      hn::Store(to[t].cost, d, w_.cost[t]);
      hn::Store(to[t].budget, d, w_.budget[t]);
      hn::Store(to[t].level | hn::ShiftLeft<8>(to[t].before), d, w_.decisions[n][t]);
    }
    carry<kBegins>(w_.any, to, v);
    for (int t = 0; t < kStates; ++t)
      hn::Store(v[t] | hn::VecFromMask(d, to[t].level > set(0)), d, w_.any[t]);
    carry<kBegins>(w_.origin, to, v);
    for (int t = 0; t < kStates; ++t) {
      if (kBegins && (t & 1) == 0) v[t] = hn::IfThenElse(to[t].begins, set(kStarted), v[t]);
      hn::Store(v[t], d, w_.origin[t]);
    }
    const int p = n & 15;
    for (int k = 0; k < kSlots.added_count[p]; ++k) {
      auto& slot = w_.slots[kSlots.added[p][k]];
      carry<kBegins>(slot, to, v);
      for (int t = 0; t < kStates; ++t) hn::Store(v[t] + to[t].packed, d, slot[t]);
    }
    for (int k = 0; k < kSlots.kept_count[p]; ++k) {
      auto& slot = w_.slots[kSlots.kept[p][k]];
      carry<kBegins>(slot, to, v);
      for (int t = 0; t < kStates; ++t) hn::Store(v[t], d, slot[t]);
    }
    for (int t = 0; t < kStates; ++t) hn::Store(to[t].packed, d, w_.slots[p][t]);
  }

  // --- results

  void trace_back() {
    V state = set(0), best = load(w_.cost[0]);
    for (int t = 1; t < kStates; ++t) {
      const V cost = load(w_.cost[t]);
      state = hn::IfThenElse(cost < best, set(t), state);
      best = hn::Min(best, cost);
    }
    const V empty = hn::SaturatedAdd(load(w_.zero_tail), set(rates_.tu_coded[0]));
    V alive = hn::VecFromMask(d, best < empty);
    const V least = hn::Min(best, empty);
    hn::StoreU(load(w_.valid) & hn::VecFromMask(d, least < set(kDead)), d, p_.valid + first_);
    alignas(64) uint16_t final_cost[kN];
    hn::Store(least, d, final_cost);
    for (size_t lane = 0; lane < kN; ++lane) p_.cost[first_ + lane] = w_.base[lane] + final_cost[lane];
    V last = set(0xffff), final_state = set(0), skip = set(0);
    for (int n = 0; n < p_.count; ++n) {
      if ((n & 15) == 0) {
        const auto& skipped = w_.skipped[n >> 4];
        skip = by_state(state, load(skipped[0]), load(skipped[1]), load(skipped[2]), load(skipped[3]));
      }
      const auto& at = w_.decisions[n];
      const V decision = by_state(state, load(at[0]), load(at[1]), load(at[2]), load(at[3]));
      const V active = hn::AndNot(skip, alive);
      const V before = hn::ShiftRight<8>(decision);
      const V level = decision & set(0xff) & active;
      const M started = before == set(kStarted);
      const V before_state = hn::IfThenZeroElse(started, before);
      if (n == 0) final_state = before_state & active;
      const V magnitude = hn::SaturatedSub(level + level, hn::ShiftRight<1>(before_state) & active);
      hn::Store(magnitude, d, p_.levels + static_cast<size_t>(n) * kTrellisLanes + first_);
      last = hn::IfThenElse(level > set(0), set(n), last);
      state = hn::IfVecThenElse(active, before_state, state);
      alive = hn::AndNot(hn::VecFromMask(d, started) & active, alive);
    }
    hn::StoreU(last, d, p_.last + first_);
    hn::StoreU(final_state, d, p_.final_state + first_);
  }

  LaneProblem& p_;
  Memory& w_;
  const LaneRates& rates_;
  size_t first_;
  Distortion distortion_;
};

void quantize_lanes_here(LaneProblem& problem) {
  for (size_t first = 0; first < static_cast<size_t>(problem.lanes); first += kN)
    Search(problem, first).run();
}

#endif
}  // namespace llmcodec::vvc::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace llmcodec::vvc {

HWY_EXPORT(quantize_lanes_here);

void quantize_lanes(LaneProblem& problem) {
  HWY_DYNAMIC_DISPATCH(quantize_lanes_here)(problem);
}

size_t trellis_memory_size() {
  return sizeof(TrellisMemory<kTrellisLanes>);
}

}  // namespace llmcodec::vvc
#endif
