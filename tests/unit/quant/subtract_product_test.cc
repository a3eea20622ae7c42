// SPDX-License-Identifier: BSD-3-Clause
#include "quant/subtract_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "../vvc/every_instruction_set.h"
#include "quant/fused_multiply_add.h"
#include "random_matrix.h"

namespace llmcodec {
namespace {

using testing::gaussian;
using testing::OwnedMatrix;

constexpr size_t kRows = 11;

// Inner dimensions, rows and columns around the tiles.
class SubtractProductTest : public ::testing::TestWithParam<std::tuple<size_t, size_t>> {
 protected:
  size_t inner() const { return std::get<0>(GetParam()); }
  size_t cols() const { return std::get<1>(GetParam()); }
  OwnedMatrix c_ = gaussian(kRows, cols(), 1), a_ = gaussian(kRows, inner(), 2),
              b_ = gaussian(inner(), cols(), 3);
};

TEST_P(SubtractProductTest, is_the_definition_on_every_instruction_set) {
  OwnedMatrix wanted = c_;
  for (size_t r = 0; r < kRows; ++r)
    for (size_t j = 0; j < cols(); ++j)
      for (size_t p = 0; p < inner(); ++p)
        wanted.at(r, j) = std::fma(-a_.at(r, p), b_.at(p, j), wanted.at(r, j));
  vvc::on_every_instruction_set([&] {
    OwnedMatrix c = c_;
    subtract_product(c.view(), Coefficients{a_.values.data(), inner(), 1}, b_.view());
    ASSERT_EQ(c.values, wanted.values);
  });
}

TEST_P(SubtractProductTest, reads_a_transposed_factor) {
  OwnedMatrix turned(inner(), kRows), c = c_;
  for (size_t r = 0; r < kRows; ++r)
    for (size_t p = 0; p < inner(); ++p) turned.at(p, r) = a_.at(r, p);
  subtract_product(c_.view(), Coefficients{a_.values.data(), inner(), 1}, b_.view());
  subtract_product(c.view(), Coefficients{turned.values.data(), 1, kRows}, b_.view());
  ASSERT_EQ(c.values, c_.values);
}

TEST_P(SubtractProductTest, has_the_same_bits_for_any_split) {
  OwnedMatrix parts = c_;
  subtract_product(c_.view(), Coefficients{a_.values.data(), inner(), 1}, b_.view());
  const size_t left = cols() / 3, right = cols() - left;
  for (size_t r = 0; r < kRows; ++r) {
    const Coefficients row{a_.values.data() + r * inner(), inner(), 1};
    subtract_product(parts.view().block(r, 0, 1, left), row, b_.view().block(0, 0, inner(), left));
    subtract_product(parts.view().block(r, left, 1, right), row, b_.view().block(0, left, inner(), right));
  }
  ASSERT_EQ(c_.values, parts.values);
}

INSTANTIATE_TEST_SUITE_P(sizes, SubtractProductTest,
                         ::testing::Combine(::testing::Values(1, 7, 8, 33, 63, 64, 65, 150),
                                            ::testing::Values(3, 16, 64, 300)));

// Against the C library, where rounding twice would show: sums that cancel, addends far below the product,
// results below the normal numbers.
TEST(FusedMultiplyAdd, rounds_once) {
  std::mt19937_64 bits(7);
  const auto number = [&](int spread) {
    const float mantissa = 1 + static_cast<float>(bits() >> 41) * 0x1p-23F;
    const int exponent = static_cast<int>(bits() % static_cast<uint64_t>(2 * spread + 1)) - spread;
    return std::ldexp(bits() % 2 == 0 ? mantissa : -mantissa, exponent);
  };
  for (int i = 0; i < 2000000; ++i) {
    const float a = number(20), b = number(20);
    const float halfway = std::ldexp(a * b, static_cast<int>(bits() % 61) - 30);
    for (const float c : {number(40), -a * b, halfway, 0.0F, std::nextafter(-a * b, 0.0F)})
      ASSERT_EQ(fused_multiply_add(a, b, c), std::fma(a, b, c)) << a << " * " << b << " + " << c;
  }
}

}  // namespace
}  // namespace llmcodec
