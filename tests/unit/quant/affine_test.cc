// SPDX-License-Identifier: BSD-3-Clause
#include "quant/affine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "random_matrix.h"

namespace llmcodec {
namespace {

using testing::OwnedMatrix;

TEST(Affine, error_is_at_most_half_a_step_inside_the_range) {
  for (uint32_t bit_depth : {8u, 10u, 12u, 16u}) {
    const OwnedMatrix u = testing::gaussian(40, 33, bit_depth, 0);
    const float step = 0.2f / static_cast<float>(1u << (bit_depth - 1));  // 10 sigma each way
    const AffineParams params = AffineParams::centred(bit_depth, step);
    ASSERT_TRUE(validate(params).is_ok());
    std::vector<uint16_t> samples(u.values.size());
    OutlierList outliers;
    quantize(params, u.view(), {0, u.view()}, {samples.data(), u.rows, u.cols}, outliers);
    EXPECT_TRUE(outliers.empty());
    OwnedMatrix back(u.rows, u.cols);
    dequantize(params, PlaneView(samples.data(), u.rows, u.cols), back.view());
    for (size_t i = 0; i < u.values.size(); ++i) {
      ASSERT_LE(samples[i], params.max_sample());
      ASSERT_LE(std::fabs(back.values[i] - u.values[i]), step / 2 * 1.0001f + 1e-8f);
    }
  }
}

TEST(Affine, clipped_values_become_exact_outliers) {
  const AffineParams params = AffineParams::centred(8, 1.0f);
  const float inf = std::numeric_limits<float>::infinity();
  OwnedMatrix u(2, 5), source(2, 5);
  u.values = {-128.5f, 127.5f, -128.6f, 127.6f, 0, inf, -inf, 1e30f, 127, -128};
  for (size_t i = 0; i < 10; ++i) source.values[i] = 1000.0f + static_cast<float>(i);
  std::vector<uint16_t> samples(10);
  OutlierList outliers;
  quantize(params, u.view(), {100, source.view()}, {samples.data(), 2, 5}, outliers);
  EXPECT_EQ(samples, (std::vector<uint16_t>{0, 255, 0, 255, 128, 255, 0, 255, 255, 0}));
  EXPECT_EQ(outliers.indices, (std::vector<uint64_t>{502, 503, 505, 506, 507}));
  EXPECT_EQ(outliers.values, (std::vector<float>{1002, 1003, 1005, 1006, 1007}));
}

TEST(Affine, rounds_half_to_even_and_dequantises_exactly) {
  const AffineParams params{10, 0.5f, 100};
  OwnedMatrix u(1, 5);
  u.values = {0.25f, 0.75f, -0.25f, -0.75f, -50.0f};
  std::vector<uint16_t> samples(5);
  OutlierList outliers;
  quantize(params, u.view(), {0, u.view()}, {samples.data(), 1, 5}, outliers);
  EXPECT_EQ(samples, (std::vector<uint16_t>{100, 102, 100, 98, 0}));
  OwnedMatrix back(1, 5);
  dequantize(params, PlaneView(samples.data(), 1, 5), back.view());
  EXPECT_EQ(back.values, (std::vector<float>{0, 1, 0, -1, -50}));
}

TEST(Affine, bad_parameters_from_an_archive_are_corrupt) {
  for (const AffineParams& params :
       {AffineParams{7, 1, 64}, AffineParams{17, 1, 64}, AffineParams{8, 0, 128}, AffineParams{8, -1, 128},
        AffineParams{8, std::nanf(""), 128}, AffineParams{8, std::numeric_limits<float>::infinity(), 128},
        AffineParams{8, 1e-44f, 128}, AffineParams{8, 1, 256}}) {
    const Status status = validate(params);
    ASSERT_FALSE(status.is_ok());
    EXPECT_EQ(status.error().kind, ErrorKind::kCorrupt);
  }
}

}  // namespace
}  // namespace llmcodec
