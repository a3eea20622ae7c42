// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/trellis/lane_rates.h"

#include <algorithm>

namespace llmcodec::vvc {
namespace {

// Below 64 bits: sums of three prices fit 16 bits.
uint16_t price(uint32_t rate) {
  return static_cast<uint16_t>(std::min<uint32_t>(rate, 0x3fff));
}

void put(uint8_t table[2][16], int entry, uint32_t rate) {
  table[0][entry] = static_cast<uint8_t>(price(rate));
  table[1][entry] = static_cast<uint8_t>(price(rate) >> 8);
}

void add_sig_prices(const TrellisRates& rates, LaneRates& lanes) {
  for (int set = 0; set < 3; ++set)
    for (int row = 0; row < 3; ++row)
      for (int i = 0; i < 8; ++i) lanes.sig[set][row][i] = price(rates.sig[set][4 * row + i % 4][i / 4]);
}

void add_level_prices(const TrellisRates& rates, LaneRates& lanes) {
  for (int row = 0; row < 4; ++row)
    for (int inc = 0; inc < 5; ++inc) {
      const uint32_t* level = rates.level[1 + 5 * row + inc];
      put(lanes.even[row], 2 * inc, level[2]);
      put(lanes.even[row], 2 * inc + 1, level[4]);
      put(lanes.odd[row], 3 * inc, level[1]);
      put(lanes.odd[row], 3 * inc + 1, level[3]);
      put(lanes.odd[row], 3 * inc + 2, level[5]);
    }
  const uint32_t* start = rates.level[0];
  lanes.start_even[0] = price(start[2]), lanes.start_even[1] = price(start[4]);
  for (int category = 0; category < 3; ++category) lanes.start_odd[category] = price(start[2 * category + 1]);
}

}  // namespace

LaneRates lane_rates(const TrellisRates& rates) {
  LaneRates lanes{};
  add_sig_prices(rates, lanes);
  add_level_prices(rates, lanes);
  for (int i = 0; i < 32; ++i) {
    lanes.last_x[i] = price(rates.last_x[i]);
    lanes.last_y[i] = price(rates.last_y[i]);
  }
  for (int i = 0; i < 2; ++i) {
    lanes.tu_coded[i] = price(rates.tu_coded[i]);
    for (int bin = 0; bin < 2; ++bin) lanes.sb_coded[i][bin] = price(rates.sb_coded[i][bin]);
  }
  return lanes;
}

}  // namespace llmcodec::vvc
