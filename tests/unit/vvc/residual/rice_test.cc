// SPDX-License-Identifier: BSD-3-Clause
#include "vvc/residual/rice.h"

#include <gtest/gtest.h>

#include <vector>

#include "vvc/cabac/cabac_cost.h"
#include "vvc/cabac/cabac_decoder.h"
#include "vvc/cabac/cabac_encoder.h"

namespace llmcodec::vvc {
namespace {

TEST(Rice, codes_over_the_whole_range_come_back) {
  for (int rice = 0; rice < 4; ++rice) {
    CabacEncoder encoder(initial_contexts(20));
    for (int value = 0; value < 32768; value += value < 300 ? 1 : 97) rice_code(encoder, value, rice);
    encoder.terminate(1);
    const std::vector<uint8_t> bytes = encoder.finish();
    CabacDecoder decoder(bytes, initial_contexts(20));
    for (int value = 0; value < 32768; value += value < 300 ? 1 : 97)
      ASSERT_EQ(rice_code(decoder, 0, rice), value);
  }
}

TEST(Rice, length_is_the_number_of_bins) {
  for (int rice = 0; rice < 4; ++rice)
    for (int value = 0; value < 32768; value += value < 300 ? 1 : 97) {
      CabacCost cost(initial_contexts(20));
      rice_code(cost, value, rice);
      ASSERT_EQ(rice_length(value, rice), static_cast<int>(cost.bits() / kBit)) << value << ' ' << rice;
    }
  EXPECT_EQ(rice_length(0, 0), 1);
  EXPECT_EQ(rice_length(5, 0), 6);
  EXPECT_EQ(rice_length(6, 0), 8);
  EXPECT_EQ(rice_length(7, 0), 8);
  EXPECT_EQ(rice_length(8, 0), 10);
  EXPECT_EQ(rice_length(47, 3), 9);
  EXPECT_EQ(rice_length(48, 3), 11);
  EXPECT_EQ(rice_length(32767, 0), 32);
}

}  // namespace
}  // namespace llmcodec::vvc
