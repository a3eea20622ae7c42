// SPDX-License-Identifier: BSD-3-Clause
#include "restore/weights_to_dtype.h"

#include <cmath>
#include <limits>

#include "../tensor/tensor_test_files.h"

namespace llmcodec {
namespace {

// Stored and read back.
std::vector<float> through(Dtype dtype, const std::vector<float>& weights) {
  std::vector<std::byte> bytes(dtype_bytes(dtype, weights.size()).value());
  EXPECT_TRUE(store_weights(dtype, weights, bytes).is_ok());
  std::vector<float> back(weights.size());
  EXPECT_TRUE(to_f32(dtype, bytes, back).is_ok());
  return back;
}

TEST(WeightsToDtype, coding_noise_past_the_range_stays_finite) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(through(Dtype::kF16, {70000, -70000, 1.5f}), (std::vector<float>{65504, -65504, 1.5f}));
  EXPECT_EQ(through(Dtype::kF8E4M3, {500, -1}), (std::vector<float>{448, -1}));
  EXPECT_EQ(through(Dtype::kF16, {kInfinity}), std::vector<float>{kInfinity}) << "what was infinite stays so";
}

TEST(WeightsToDtype, more_weights_than_one_piece_keep_their_places) {
  std::vector<float> weights(5000);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i % 2048);
  EXPECT_EQ(through(Dtype::kF16, weights), weights);
}

TEST(WeightsToDtype, rows_that_are_no_whole_blocks_are_our_own_mistake) {
  const std::vector<float> weights(33);
  std::vector<std::byte> bytes(68);
  expect_error(store_weights(Dtype::kQ8_0, weights, bytes), ErrorKind::kInternal, "33 weights in Q8_0");
  expect_error(store_weights(Dtype::kF16, weights, bytes), ErrorKind::kInternal, "do not fill 68 bytes");
}

TEST(WeightsToDtype, blocks_of_gguf_come_back_as_halves) {
  EXPECT_EQ(restored_dtype(Dtype::kQ4_0), Dtype::kF16);
  EXPECT_EQ(restored_dtype(Dtype::kBF16), Dtype::kBF16);
}

}  // namespace
}  // namespace llmcodec
