// SPDX-License-Identifier: BSD-3-Clause
#include "quant/portable_math.h"

#include <gtest/gtest.h>

#include <cmath>

namespace llmcodec {
namespace {

TEST(PortableMath, agrees_with_libm) {
  for (double v : {1e-300, 3e-38, 0.1, 0.7071, 0.70711, 1.0, 1.4142, 2.0, 3.7, 1e10, 3e38, 1e300}) {
    EXPECT_NEAR(portable_log2(v), std::log2(v), 1e-13 * (1 + std::fabs(std::log2(v)))) << v;
  }
  for (double v : {-900.25, -3.5, -0.5, 0.0, 0.49999, 0.5, 1.0, 17.3, 900.75}) {
    EXPECT_NEAR(portable_exp2(v) / std::exp2(v), 1, 1e-13) << v;
  }
  EXPECT_NEAR(portable_pow(0.013, -0.375), std::pow(0.013, -0.375), 1e-12);
}

}  // namespace
}  // namespace llmcodec
