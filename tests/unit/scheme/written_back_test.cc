// SPDX-License-Identifier: BSD-3-Clause
#include "scheme/written_back.h"

#include <cmath>

#include "scheme_test_files.h"

namespace llmcodec {
namespace {

using Floats = std::vector<float>;
using Shape = std::vector<uint64_t>;

BlockScales format_of(Dtype dtype, Shape scales, uint64_t rows, uint64_t cols) {
  return {{"a.weight_scale", dtype, std::move(scales)}, rows, cols};
}

std::vector<std::byte> bf16(const Floats& weights) {
  std::vector<std::byte> bytes(weights.size() * 2);
  EXPECT_TRUE(from_f32(Dtype::kBF16, weights, bytes).is_ok());
  return bytes;
}

Floats floats_of(Dtype dtype, const std::vector<std::byte>& bytes) {
  Floats values(bytes.size() / dtype_info(dtype).block_bytes);
  EXPECT_TRUE(to_f32(dtype, bytes, values).is_ok());
  return values;
}

TEST(WrittenBack, TheLargestWeightOfABlockIsTheLargestCode) {
  // 2 x 4 in blocks of 2 x 2.
  const auto written =
      write_back_e4m3(format_of(Dtype::kF32, {1, 2}, 2, 2), {2, 4}, bf16({1, -0.5f, 4, 0, 0.25f, 0, 2, 1}));
  ASSERT_OK(written);
  EXPECT_EQ(floats_of(Dtype::kF32, written->scales), (Floats{1.0f / 448, 4.0f / 448}));
  EXPECT_EQ(floats_of(Dtype::kF8E4M3, written->codes), (Floats{448, -224, 448, 0, 112, 0, 224, 112}));
}

TEST(WrittenBack, CodesOfFullBlocksComeBackAsTheyWere) {
  Floats weights;
  std::vector<std::byte> codes;
  for (int code = 0; code < 255; ++code) {
    if (code == 127) continue;  // NaN
    codes.push_back(static_cast<std::byte>(code));
  }
  for (const float value : floats_of(Dtype::kF8E4M3, codes)) weights.push_back(value * 0.0123f);
  const auto written =
      write_back_e4m3(format_of(Dtype::kF32, {}, 1, weights.size()), {1, weights.size()}, bf16(weights));
  ASSERT_OK(written);
  EXPECT_EQ(written->codes, codes);
}

TEST(WrittenBack, BlocksBeginAnewInEachMatrixAndAreCutAtItsEnds) {
  Floats weights(2 * 3 * 2);
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = static_cast<float>(i + 1);
  const auto written = write_back_e4m3(format_of(Dtype::kF32, {2, 2, 1}, 2, 2), {2, 3, 2}, bf16(weights));
  ASSERT_OK(written);
  EXPECT_EQ(floats_of(Dtype::kF32, written->scales),
            (Floats{4.0f / 448, 6.0f / 448, 10.0f / 448, 12.0f / 448}));
  const auto one = write_back_e4m3(format_of(Dtype::kF32, {1}, 6, 2), {2, 3, 2}, bf16(weights));
  ASSERT_OK(one);
  EXPECT_EQ(floats_of(Dtype::kF32, one->scales), Floats{12.0f / 448});
}

TEST(WrittenBack, ExponentsAreRoundedUpSoThatNothingIsClipped) {
  const auto written = write_back_e4m3(format_of(Dtype::kF8E8M0, {2, 1}, 1, 2), {2, 2}, bf16({3, 1, 448, 7}));
  ASSERT_OK(written);
  EXPECT_EQ(written->scales, bytes_of(std::vector<uint8_t>{120, 127}));  // 3 / 448 is above 2^-8
  EXPECT_EQ(floats_of(Dtype::kF8E4M3, written->codes), (Floats{384, 128, 448, 7}));
}

TEST(WrittenBack, ZerosHaveAScaleAndNoScaleIsZero) {
  const auto written =
      write_back_e4m3(format_of(Dtype::kF16, {2, 1}, 1, 2), {2, 2}, bf16({0, 0, 1e-7f, -1e-7f}));
  ASSERT_OK(written);
  EXPECT_EQ(floats_of(Dtype::kF16, written->scales), (Floats{1, 0x1p-24f}));
  EXPECT_EQ(floats_of(Dtype::kF8E4M3, written->codes)[0], 0);
  EXPECT_NE(floats_of(Dtype::kF8E4M3, written->codes)[2], 0);
}

TEST(WrittenBack, WhatNoCodeStandsForIsRefused) {
  const BlockScales format = format_of(Dtype::kF32, {1}, 1, 2);
  const auto infinite = write_back_e4m3(format, {1, 2}, bf16({1, INFINITY}));
  ASSERT_FALSE(infinite.is_ok());
  EXPECT_NE(infinite.error().message.find("row 0, column 1"), std::string::npos);
  EXPECT_FALSE(write_back_e4m3(format_of(Dtype::kF16, {1}, 1, 2), {1, 2}, bf16({1e30f, 0})).is_ok());
  EXPECT_FALSE(write_back_e4m3(format_of(Dtype::kF32, {3}, 1, 2), {1, 2}, bf16({1, 1})).is_ok());
}

}  // namespace
}  // namespace llmcodec
