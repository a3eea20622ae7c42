// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/trellis/trellis_rates.h"

#include "vvc/residual/residual_syntax.h"

namespace llmcodec::vvc {
namespace {

// By the slow average: the fast one remembers the last few dozen bins only, and a whole block is priced with
// it. Worth 0.01 dB at 2.3 bits and 0.025 at 4.
uint32_t fine_price(const ContextSet& contexts, int index, int bin) {
  return bin_cost(contexts[index].slow_probability(), bin);
}
uint32_t price(const ContextSet& contexts, int index, int bin) {
  return to_rate(fine_price(contexts, index, bin));
}

// Sign included.
void level_prices(const ContextSet& contexts, int inc, uint32_t* out) {
  const int gt1 = ctx::kAbsLevelGt1Flag + inc, par = ctx::kParLevelFlag + inc,
            gt3 = ctx::kAbsLevelGt3Flag + inc;
  const uint32_t above_1 = kBit + fine_price(contexts, gt1, 1);
  out[0] = 0;
  out[1] = to_rate(kBit + fine_price(contexts, gt1, 0));
  for (int parity = 0; parity < 2; ++parity)
    for (int above_3 = 0; above_3 < 2; ++above_3)
      out[2 + parity + 2 * above_3] =
          to_rate(above_1 + fine_price(contexts, par, parity) + fine_price(contexts, gt3, above_3));
}

template <class Price>
void last_prices(Price&& code, uint32_t* out, int size) {
  for (int position = 0; position < size; ++position) out[position] = code(position);
}

}  // namespace

TrellisRates trellis_rates(const ContextSet& contexts, int log2_width, int log2_height) {
  TrellisRates rates{};
  for (int set = 0; set < 3; ++set)
    for (int inc = 0; inc < 12; ++inc)
      for (int bin = 0; bin < 2; ++bin)
        rates.sig[set][inc][bin] = price(contexts, ctx::kSigCoeffFlag + 12 * set + inc, bin);
  for (int inc = 0; inc < 21; ++inc) level_prices(contexts, inc, rates.level[inc]);
  for (int inc = 0; inc < 2; ++inc)
    for (int bin = 0; bin < 2; ++bin)
      rates.sb_coded[inc][bin] = price(contexts, ctx::kSbCodedFlag + inc, bin);
  for (int bin = 0; bin < 2; ++bin) rates.tu_coded[bin] = price(contexts, ctx::kTuYCodedFlag, bin);
  const auto last = [&](int first_context, int log2_size, uint32_t* out) {
    last_prices(
        [&](int position) {
          CabacCost cost(contexts);
          last_sig_coeff_prefix(cost, last_prefix_of(position), first_context, log2_size);
          last_sig_coeff_suffix(cost, position, last_prefix_of(position));
          return to_rate(cost.bits());
        },
        out, 1 << std::min(log2_size, 5));
  };
  last(ctx::kLastSigCoeffXPrefix, log2_width, rates.last_x);
  last(ctx::kLastSigCoeffYPrefix, log2_height, rates.last_y);
  return rates;
}

}  // namespace llmcodec::vvc
