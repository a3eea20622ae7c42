// SPDX-License-Identifier: BSD-3-Clause
#include "base/finite.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace llmcodec {
namespace {

TEST(Finite, the_largest_magnitude_of_any_sign_and_length) {
  EXPECT_EQ(largest_magnitude({}), 0);
  for (size_t length = 1; length < 70; ++length) {
    std::vector<float> values(length, 0.5f);
    values[length / 2] = -3;
    EXPECT_EQ(largest_magnitude(values), 3) << length;
  }
  EXPECT_EQ(largest_magnitude(std::vector<float>{-std::numeric_limits<float>::denorm_min(), -0.0f}),
            std::numeric_limits<float>::denorm_min());
}

TEST(Finite, what_is_not_finite_wins) {
  const float infinity = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  const float end = std::numeric_limits<float>::max();
  EXPECT_TRUE(all_finite(std::vector<float>{end, -end, 0}));
  EXPECT_EQ(largest_magnitude(std::vector<float>{end, -infinity, 1}), infinity);
  EXPECT_TRUE(std::isnan(largest_magnitude(std::vector<float>{infinity, -nan, end})));
  for (const float bad : {infinity, -infinity, nan, -nan}) {
    for (size_t place = 0; place < 40; ++place) {
      std::vector<float> values(40, 1.0f);
      values[place] = bad;
      EXPECT_FALSE(all_finite(values)) << bad << " at " << place;
    }
  }
}

}  // namespace
}  // namespace llmcodec
