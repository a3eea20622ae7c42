// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/dtype_range.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace llmcodec {
namespace {

TEST(DtypeRange, what_is_narrower) {
  EXPECT_TRUE(is_narrower(Dtype::kF16, Dtype::kBF16));
  EXPECT_TRUE(is_narrower(Dtype::kBF16, Dtype::kF32));
  EXPECT_TRUE(is_narrower(Dtype::kF32, Dtype::kF64));
  EXPECT_TRUE(is_narrower(Dtype::kF16, Dtype::kQ8_0));
  EXPECT_FALSE(is_narrower(Dtype::kF16, Dtype::kF16));
  EXPECT_FALSE(is_narrower(Dtype::kF32, Dtype::kBF16));
}

TEST(DtypeRange, what_is_larger_than_the_largest_does_not_fit) {
  for (const Dtype dtype : {Dtype::kF16, Dtype::kBF16, Dtype::kF8E4M3, Dtype::kF8E5M2}) {
    const std::array<float, 2> values = {static_cast<float>(largest_finite(dtype)),
                                         static_cast<float>(largest_finite(dtype)) * 1.001f};
    std::array<std::byte, 4> bytes = {};
    const auto size = *dtype_bytes(dtype, 2);
    ASSERT_TRUE(from_f32(dtype, values, std::span(bytes).first(size)).is_ok());
    std::array<float, 2> back = {};
    ASSERT_TRUE(to_f32(dtype, std::span(bytes).first(size), back).is_ok());
    EXPECT_EQ(back[0], values[0]) << dtype_info(dtype).name;
    EXPECT_NE(back[1], values[1]) << dtype_info(dtype).name;
  }
}

}  // namespace
}  // namespace llmcodec
