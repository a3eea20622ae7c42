// SPDX-License-Identifier: BSD-3-Clause
#include "quant/subtract_product.h"

#include <gtest/gtest.h>

#include <cmath>

#include "random_matrix.h"

namespace llmcodec {
namespace {

using testing::gaussian;
using testing::OwnedMatrix;

constexpr size_t kRows = 5;

// Inner dimensions around the unrolled eight and the tile of 32; columns around the tile of 128.
class SubtractProductTest : public ::testing::TestWithParam<std::tuple<size_t, size_t>> {
 protected:
  size_t inner() const { return std::get<0>(GetParam()); }
  size_t cols() const { return std::get<1>(GetParam()); }
  OwnedMatrix c_ = gaussian(kRows, cols(), 1), a_ = gaussian(kRows, inner(), 2),
              b_ = gaussian(inner(), cols(), 3);
};

TEST_P(SubtractProductTest, is_the_product_of_the_definition) {
  const OwnedMatrix before = c_;
  subtract_product(c_.view(), Coefficients<float>{a_.values.data(), inner(), 1}, b_.view());
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t j = 0; j < cols(); ++j) {
      double wanted = before.at(r, j), size = std::abs(wanted);
      for (size_t p = 0; p < inner(); ++p) {
        wanted -= double{a_.at(r, p)} * b_.at(p, j);
        size += std::abs(double{a_.at(r, p)} * b_.at(p, j));
      }
      ASSERT_NEAR(c_.at(r, j), wanted, 1e-6 * size) << r << ", " << j;
    }
  }
}

TEST_P(SubtractProductTest, has_the_same_bits_for_any_split) {
  OwnedMatrix parts = c_;
  subtract_product(c_.view(), Coefficients<float>{a_.values.data(), inner(), 1}, b_.view());
  const size_t left = cols() / 3, right = cols() - left;
  for (size_t r = 0; r < kRows; ++r) {
    const Coefficients<float> row{a_.values.data() + r * inner(), inner(), 1};
    subtract_product(parts.view().block(r, 0, 1, left), row, b_.view().block(0, 0, inner(), left));
    subtract_product(parts.view().block(r, left, 1, right), row, b_.view().block(0, left, inner(), right));
  }
  ASSERT_EQ(c_.values, parts.values);
}

INSTANTIATE_TEST_SUITE_P(sizes, SubtractProductTest,
                         ::testing::Combine(::testing::Values(1, 7, 8, 31, 32, 33, 100),
                                            ::testing::Values(3, 128, 300)));

}  // namespace
}  // namespace llmcodec
