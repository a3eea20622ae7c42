// SPDX-License-Identifier: BSD-3-Clause
// Scales of matrices that hurt: dead rows and columns, constants, heavy tails, NaN,
// extreme sizes, broken archives.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "quant/half.h"
#include "quant/memory_row_reader.h"
#include "quant/scales.h"
#include "random_matrix.h"

namespace llmcodec {
namespace {

using testing::OwnedMatrix;

const std::vector<ScaleSpec> kAllSpecs = {{ScaleKind::kTensor, 0},
                                          {ScaleKind::kRow, 0},
                                          {ScaleKind::kColumn, 0},
                                          {ScaleKind::kGroup, 5},
                                          {ScaleKind::kDual, 0}};

// Fits, goes there and back, and expects finite u and weights within `relative` of the matrix's largest.
MatrixScales survives(const OwnedMatrix& matrix, const ScaleOptions& options, double relative = 1e-5) {
  MemoryRowReader reader(matrix.view());
  auto scales = fit_scales(reader, options);
  EXPECT_TRUE(scales.is_ok()) << (scales.is_ok() ? "" : scales.error().message);
  if (!scales.is_ok()) return {};
  EXPECT_TRUE(validate(*scales).is_ok());
  OwnedMatrix u(matrix.rows, matrix.cols), back(matrix.rows, matrix.cols);
  normalise(*scales, 0, matrix.view(), u.view());
  denormalise(*scales, 0, u.view(), back.view());
  double largest = 0;
  for (float v : matrix.values) largest = std::max(largest, std::fabs(double{v}));
  for (size_t i = 0; i < u.values.size(); ++i) {
    EXPECT_TRUE(std::isfinite(u.values[i])) << scale_spec_name(options.spec) << " at " << i;
    EXPECT_NEAR(back.values[i], matrix.values[i], relative * largest)
        << scale_spec_name(options.spec) << " at " << i;
  }
  return *scales;
}

void survives_all(const OwnedMatrix& matrix, double relative = 1e-5) {
  for (const ScaleSpec& spec : kAllSpecs) {
    survives(matrix, {.spec = spec}, relative);
    survives(matrix, {.spec = spec, .asymmetric = true}, std::max(relative, 1e-4));
  }
  const std::vector<float> steps(matrix.cols, 3.0f);
  survives(matrix, {.spec = {ScaleKind::kDual}, .column_steps = steps}, relative);
}

TEST(ScalesDamage, dead_rows_and_columns_get_code_zero_and_exact_zeros) {
  OwnedMatrix matrix = testing::gaussian(20, 30, 1, 0.5);
  for (size_t c = 0; c < 30; ++c) matrix.at(4, c) = 0;
  for (size_t r = 0; r < 20; ++r) matrix.at(r, 7) = 0;
  survives_all(matrix);
  const std::vector<float> steps(30, 1.0f);
  for (const ScaleOptions& options : {ScaleOptions{.spec = {ScaleKind::kDual}},
                                      ScaleOptions{.spec = {ScaleKind::kDual}, .column_steps = steps}}) {
    const MatrixScales scales = survives(matrix, options);
    EXPECT_EQ(std::count(scales.row_codes.begin(), scales.row_codes.end(), 0), 1);
    EXPECT_EQ(std::count(scales.col_codes.begin(), scales.col_codes.end(), 0), 1);
    OwnedMatrix u(20, 30), back(20, 30);
    std::fill(u.values.begin(), u.values.end(), 5.0f);  // whatever the codec returns
    denormalise(scales, 0, u.view(), back.view());
    for (size_t c = 0; c < 30; ++c) EXPECT_EQ(back.at(4, c), 0.0f);
    for (size_t r = 0; r < 20; ++r) EXPECT_EQ(back.at(r, 7), 0.0f);
    EXPECT_NE(back.at(0, 0), 0.0f);
  }
}

TEST(ScalesDamage, all_zero_matrix) {
  survives_all(OwnedMatrix(9, 12));
}

TEST(ScalesDamage, constant_matrix) {
  OwnedMatrix matrix(17, 9);
  std::fill(matrix.values.begin(), matrix.values.end(), -0.37f);
  survives_all(matrix);
}

TEST(ScalesDamage, rank_one_matrix_has_unit_u) {
  OwnedMatrix matrix(25, 14);
  for (size_t r = 0; r < 25; ++r) {
    for (size_t c = 0; c < 14; ++c)
      matrix.at(r, c) = (r % 2 ? 1.f : -1.f) * std::ldexp(1.0f + r, static_cast<int>(c % 5));
  }
  const MatrixScales scales = survives(matrix, {.spec = {ScaleKind::kDual}});
  OwnedMatrix u(25, 14);
  normalise(scales, 0, matrix.view(), u.view());
  for (float v : u.values) EXPECT_NEAR(std::fabs(v), 1, 0.05);
}

TEST(ScalesDamage, heavy_tails_and_one_huge_weight) {
  OwnedMatrix matrix = testing::gaussian(40, 40, 3, 0);
  for (float& v : matrix.values) v = v * v * v * 1e4f;
  matrix.at(5, 6) = 1000;
  survives_all(matrix);
}

TEST(ScalesDamage, triangle_and_diagonal_have_no_fixed_point_but_end) {
  OwnedMatrix triangle = testing::gaussian(40, 40, 4, 0), diagonal(40, 40);
  for (size_t r = 0; r < 40; ++r) {
    diagonal.at(r, r) = triangle.at(r, r);
    for (size_t c = r + 1; c < 40; ++c) triangle.at(r, c) = 0;
  }
  survives_all(triangle);
  survives_all(diagonal);
}

TEST(ScalesDamage, tiny_and_huge_magnitudes) {
  for (float size : {1e-36f, 1e-20f, 1e20f, 1e30f}) {
    OwnedMatrix matrix = testing::gaussian(16, 24, 5, 0.5);
    for (float& v : matrix.values) v *= size;
    survives_all(matrix, 1e-4);
  }
  OwnedMatrix mixed = testing::gaussian(16, 24, 6, 0);
  for (size_t c = 0; c < 24; ++c) mixed.at(3, c) *= 1e-30f;
  for (size_t r = 0; r < 16; ++r) mixed.at(r, 9) *= 1e12f;
  survives_all(mixed);
}

TEST(ScalesDamage, denormals_never_become_nan) {
  OwnedMatrix matrix(8, 8);
  for (size_t i = 0; i < 64; ++i)
    matrix.values[i] = std::numeric_limits<float>::denorm_min() * static_cast<float>(i % 3);
  for (const ScaleSpec& spec : kAllSpecs) {
    MemoryRowReader reader(matrix.view());
    const auto scales = fit_scales(reader, {.spec = spec});
    ASSERT_TRUE(scales.is_ok());
    OwnedMatrix u(8, 8);
    normalise(*scales, 0, matrix.view(), u.view());
    for (float v : u.values) EXPECT_FALSE(std::isnan(v));
  }
}

TEST(ScalesDamage, weights_near_the_end_of_float_are_scaled_or_refused) {
  OwnedMatrix matrix(8, 8);
  std::fill(matrix.values.begin(), matrix.values.end(), std::numeric_limits<float>::max());
  for (const ScaleSpec& spec : kAllSpecs) {
    MemoryRowReader reader(matrix.view());
    const auto scales = fit_scales(reader, {.spec = spec});
    if (!scales.is_ok()) {
      EXPECT_EQ(scales.error().kind, ErrorKind::kInvalidArgument);
      continue;
    }
    OwnedMatrix u(8, 8);
    normalise(*scales, 0, matrix.view(), u.view());
    for (float v : u.values) EXPECT_NEAR(v, 1, 0.05);
  }
}

TEST(ScalesDamage, nan_and_infinity_are_named_with_their_place) {
  for (const ScaleSpec& spec : kAllSpecs) {
    OwnedMatrix matrix = testing::gaussian(12, 10, 7, 0);
    matrix.at(11, 4) = std::nanf("");
    MemoryRowReader nan_reader(matrix.view());
    const auto nan = fit_scales(nan_reader, {.spec = spec});
    ASSERT_FALSE(nan.is_ok());
    EXPECT_EQ(nan.error().kind, ErrorKind::kInvalidArgument);
    EXPECT_EQ(nan.error().message, "NaN at row 11, column 4 (index 114)");
    matrix.at(11, 4) = 0;
    matrix.at(0, 3) = -std::numeric_limits<float>::infinity();
    MemoryRowReader inf_reader(matrix.view());
    EXPECT_EQ(fit_scales(inf_reader, {.spec = spec}).error().message,
              "infinity at row 0, column 3 (index 3)");
  }
}

TEST(ScalesDamage, the_largest_magnitude_is_told) {
  OwnedMatrix matrix = testing::gaussian(12, 10, 7, 0);
  matrix.at(7, 4) = -5000;
  matrix.at(11, 9) = 4000;
  for (const ScaleSpec& spec : kAllSpecs) {
    MemoryRowReader reader(matrix.view());
    float largest = 1;
    ASSERT_TRUE(fit_scales(reader, {.spec = spec}, &largest).is_ok());
    EXPECT_EQ(largest, 5000);
    largest = 6000;  // of matrices before
    ASSERT_TRUE(fit_scales(reader, {.spec = spec}, &largest).is_ok());
    EXPECT_EQ(largest, 6000);
  }
}

TEST(ScalesDamage, options_that_do_not_fit_are_errors) {
  const OwnedMatrix matrix = testing::gaussian(8, 8, 8, 0);
  const std::vector<float> seven(7, 1.0f), eight(8, 1.0f);
  std::vector<float> bad(8, 1.0f);
  bad[5] = 0;
  for (const ScaleOptions& options :
       {ScaleOptions{.spec = {ScaleKind::kGroup, 0}}, ScaleOptions{.spec = {ScaleKind::kRow, 4}},
        ScaleOptions{.per_octave = 3}, ScaleOptions{.per_octave = 0}, ScaleOptions{.column_steps = seven},
        ScaleOptions{.column_steps = bad}, ScaleOptions{.spec = {ScaleKind::kRow}, .column_steps = eight},
        ScaleOptions{.spec = {ScaleKind::kColumn}, .row_factors = eight}, ScaleOptions{.row_factors = seven},
        ScaleOptions{.row_exponent = 1.5}, ScaleOptions{.column_exponent = -0.5},
        ScaleOptions{.row_exponent = std::nan("")}}) {
    MemoryRowReader reader(matrix.view());
    const auto scales = fit_scales(reader, options);
    ASSERT_FALSE(scales.is_ok());
    EXPECT_EQ(scales.error().kind, ErrorKind::kInvalidArgument);
  }
  std::vector<uint8_t> nine(8, 0);
  nine[2] = 8;
  const std::vector<uint8_t> few(7, 0);
  for (const ScaleOptions& options :
       {ScaleOptions{.column_steps = eight, .column_classes = nine},
        ScaleOptions{.column_steps = eight, .column_classes = few}, ScaleOptions{.column_classes = few}}) {
    MemoryRowReader reader(matrix.view());
    EXPECT_EQ(fit_scales(reader, options).error().kind, ErrorKind::kInvalidArgument);
  }
  MemoryRowReader empty(MatrixView<const float>(nullptr, 0, 8));
  EXPECT_FALSE(fit_scales(empty, {}).is_ok());
}

TEST(ScalesDamage, readers_errors_come_through) {
  class Broken final : public RowReader {
   public:
    size_t rows() const override { return 4; }
    size_t cols() const override { return 4; }
    Status read_rows(size_t, MatrixView<float>) override { return error(ErrorKind::kIo, "gone"); }
  } reader;
  for (const ScaleSpec& spec : kAllSpecs)
    EXPECT_EQ(fit_scales(reader, {.spec = spec}).error().kind, ErrorKind::kIo);
}

TEST(ScalesDamage, every_broken_stored_field_is_corrupt) {
  const OwnedMatrix matrix = testing::gaussian(8, 10, 9, 0);
  MemoryRowReader reader(matrix.view());
  const auto dual = fit_scales(reader, {.spec = {ScaleKind::kDual}, .asymmetric = true});
  const auto group = fit_scales(reader, {.spec = {ScaleKind::kGroup, 3}});
  ASSERT_TRUE(dual.is_ok() && group.is_ok());
  std::vector<MatrixScales> broken(7, *dual);
  broken[0].row_codes.pop_back();
  broken[1].col_codes.push_back(1);
  broken[2].zeros.clear();
  broken[3].zeros[2] = 0x7c00;
  broken[4].row_code.per_octave = 5;
  broken[5].col_code.base = -1;
  broken[6].spec.group_size = 3;
  broken.push_back(*group);
  broken.back().group_codes.pop_back();
  broken.push_back(*group);
  broken.back().spec.group_size = 0;
  for (size_t i = 0; i < broken.size(); ++i) {
    const Status status = validate(broken[i]);
    ASSERT_FALSE(status.is_ok()) << i;
    EXPECT_EQ(status.error().kind, ErrorKind::kCorrupt);
  }
}

}  // namespace
}  // namespace llmcodec
