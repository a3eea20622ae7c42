// SPDX-License-Identifier: BSD-3-Clause
#include "restore/weights_to_dtype.h"

#include <cmath>
#include <limits>

#include "../tensor/tensor_test_files.h"

namespace llmcodec {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Stored and read back.
std::vector<float> through(Dtype dtype, const std::vector<float>& weights) {
  std::vector<std::byte> bytes(dtype_bytes(dtype, weights.size()).value());
  EXPECT_TRUE(store_weights(dtype, weights, PastRange::kClip, bytes).is_ok());
  std::vector<float> back(weights.size());
  EXPECT_TRUE(to_f32(dtype, bytes, back).is_ok());
  return back;
}

TEST(WeightsToDtype, coding_noise_past_the_range_stays_finite) {
  EXPECT_EQ(through(Dtype::kF16, {70000, -70000, 1.5f}), (std::vector<float>{65504, -65504, 1.5f}));
  EXPECT_EQ(through(Dtype::kF8E4M3, {500, -1}), (std::vector<float>{448, -1}));
  constexpr float kLargest = std::numeric_limits<float>::max(), kLargestBf16 = 0x1.fep127f;
  EXPECT_EQ(through(Dtype::kBF16, {kLargest, -kLargest}), (std::vector<float>{kLargestBf16, -kLargestBf16}));
  EXPECT_EQ(through(Dtype::kF32, {kInfinity, -kInfinity}), (std::vector<float>{kLargest, -kLargest}))
      << "scales times samples may go past the range of floats themselves";
  EXPECT_EQ(through(Dtype::kF8E4M3Fnuz, {kInfinity, 300}), (std::vector<float>{240, 240}));
}

Status refusing(Dtype dtype, const std::vector<float>& weights) {
  std::vector<std::byte> bytes(dtype_bytes(dtype, weights.size()).value());
  return store_weights(dtype, weights, PastRange::kRefuse, bytes);
}

TEST(WeightsToDtype, weights_that_were_too_large_before_are_refused_where_that_is_asked) {
  const std::vector<float> weights = {1, -1e6f, 70000, 2};
  expect_error(refusing(Dtype::kF16, weights), ErrorKind::kInvalidArgument, "reach 1000000");
  expect_error(refusing(Dtype::kF16, {kInfinity}), ErrorKind::kInvalidArgument, "inf");
  ASSERT_OK(refusing(Dtype::kBF16, weights));
  ASSERT_OK(refusing(Dtype::kF16, {65504, -65504}));
  const std::vector<float> block(32, 127 * 65504.0f), above(32, 127 * 65600.0f);
  ASSERT_OK(refusing(Dtype::kQ8_0, block));
  expect_error(refusing(Dtype::kQ8_0, above), ErrorKind::kInvalidArgument, "Q8_0 ends");
  EXPECT_EQ(through(Dtype::kQ8_0, above), block);
}

// Exact values of type T into another dtype, read back.
template <class T>
Result<std::vector<float>> converted(Dtype own, const std::vector<T>& values, Dtype dtype, PastRange past) {
  std::vector<std::byte> bytes(dtype_bytes(dtype, values.size()).value());
  LLMC_RETURN_IF_ERROR(convert_exact(own, std::as_bytes(std::span(values)), dtype, past, bytes));
  std::vector<float> back(values.size());
  LLMC_RETURN_IF_ERROR(to_f32(dtype, bytes, back));
  return back;
}

TEST(ConvertExact, infinities_stay_and_what_is_too_large_is_refused_or_clipped) {
  const std::vector<float> sound = {kInfinity, -kInfinity, 1.5f};
  const auto kept = converted(Dtype::kF32, sound, Dtype::kF16, PastRange::kRefuse);
  ASSERT_OK(kept);
  EXPECT_EQ(*kept, sound);
  const std::vector<float> large = {kInfinity, -1e6f};
  expect_error(converted(Dtype::kF32, large, Dtype::kF16, PastRange::kRefuse), ErrorKind::kInvalidArgument,
               "reach 1000000");
  const auto clipped = converted(Dtype::kF32, large, Dtype::kF16, PastRange::kClip);
  ASSERT_OK(clipped);
  EXPECT_EQ(*clipped, (std::vector<float>{kInfinity, -65504}));
}

TEST(ConvertExact, doubles_past_the_range_of_floats_are_not_taken_for_infinite) {
  const std::vector<double> values = {-1e300, 1, std::numeric_limits<double>::infinity()};
  expect_error(converted(Dtype::kF64, values, Dtype::kF32, PastRange::kRefuse), ErrorKind::kInvalidArgument,
               "reach 1e+300");
  const auto clipped = converted(Dtype::kF64, values, Dtype::kF32, PastRange::kClip);
  ASSERT_OK(clipped);
  EXPECT_EQ(*clipped, (std::vector<float>{-std::numeric_limits<float>::max(), 1, kInfinity}));
}

TEST(WeightsToDtype, more_weights_than_one_piece_keep_their_places) {
  std::vector<float> weights(5000);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i % 2048);
  EXPECT_EQ(through(Dtype::kF16, weights), weights);
}

TEST(WeightsToDtype, rows_that_are_no_whole_blocks_are_our_own_mistake) {
  const std::vector<float> weights(33);
  std::vector<std::byte> bytes(68);
  for (const PastRange past : {PastRange::kClip, PastRange::kRefuse}) {
    expect_error(store_weights(Dtype::kQ8_0, weights, past, bytes), ErrorKind::kInternal,
                 "33 weights in Q8_0");
    expect_error(store_weights(Dtype::kF16, weights, past, bytes), ErrorKind::kInternal,
                 "do not fill 68 bytes");
  }
}

TEST(WeightsToDtype, blocks_of_gguf_come_back_as_halves) {
  EXPECT_EQ(restored_dtype(Dtype::kQ4_0), Dtype::kF16);
  EXPECT_EQ(restored_dtype(Dtype::kBF16), Dtype::kBF16);
}

}  // namespace
}  // namespace llmcodec
