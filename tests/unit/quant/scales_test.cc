// SPDX-License-Identifier: BSD-3-Clause
#include "quant/scales.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "quant/half.h"
#include "quant/memory_row_reader.h"
#include "random_matrix.h"

namespace llmcodec {
namespace {

using testing::OwnedMatrix;

const std::vector<ScaleSpec> kAllSpecs = {{ScaleKind::kTensor, 0},   {ScaleKind::kRow, 0},
                                          {ScaleKind::kColumn, 0},   {ScaleKind::kGroup, 7},
                                          {ScaleKind::kGroup, 1000}, {ScaleKind::kDual, 0}};

MatrixScales fitted(const OwnedMatrix& matrix, const ScaleOptions& options) {
  MemoryRowReader reader(matrix.view());
  auto scales = fit_scales(reader, options);
  EXPECT_TRUE(scales.is_ok()) << (scales.is_ok() ? "" : scales.error().message);
  if (!scales.is_ok()) return {};
  EXPECT_TRUE(validate(*scales).is_ok());
  return *scales;
}

OwnedMatrix normalised(const MatrixScales& scales, const OwnedMatrix& matrix) {
  OwnedMatrix u(matrix.rows, matrix.cols);
  normalise(scales, 0, matrix.view(), u.view());
  return u;
}

double rms(const OwnedMatrix& m, size_t row, size_t rows, size_t col, size_t cols) {
  double sum = 0;
  for (size_t r = row; r < row + rows; ++r) {
    for (size_t c = col; c < col + cols; ++c) sum += double{m.at(r, c)} * m.at(r, c);
  }
  return std::sqrt(sum / static_cast<double>(rows * cols));
}

TEST(ScaleSpec, names_round_trip_and_bad_ones_are_errors) {
  for (const ScaleSpec& spec : kAllSpecs) EXPECT_EQ(*parse_scale_spec(scale_spec_name(spec)), spec);
  for (const char* text :
       {"", "dua", "group", "group:", "group:0", "group:-1", "group:12x", "group:99999999999"}) {
    EXPECT_EQ(parse_scale_spec(text).error().kind, ErrorKind::kInvalidArgument) << text;
  }
}

TEST(Scales, round_trip_of_every_kind_and_odd_shape) {
  for (auto [rows, cols] :
       std::vector<std::pair<size_t, size_t>>{{1, 1}, {1, 19}, {19, 1}, {8, 8}, {33, 65}, {70, 13}}) {
    const OwnedMatrix matrix = testing::gaussian(rows, cols, 5, 0.5);
    for (const ScaleSpec& spec : kAllSpecs) {
      for (bool asymmetric : {false, true}) {
        const MatrixScales scales = fitted(matrix, {.spec = spec, .asymmetric = asymmetric});
        OwnedMatrix back = normalised(scales, matrix);
        denormalise(scales, 0, back.view(), back.view());
        const double largest =
            std::fabs(*std::max_element(matrix.values.begin(), matrix.values.end(),
                                        [](float a, float b) { return std::fabs(a) < std::fabs(b); }));
        for (size_t i = 0; i < back.values.size(); ++i) {
          // Asymmetric: the sum with the zero loses what float loses at the zero's size (up to 256 scales).
          const double bound = asymmetric ? 1e-4 * largest : 4e-7 * std::fabs(matrix.values[i]);
          ASSERT_NEAR(back.values[i], matrix.values[i], bound)
              << scale_spec_name(spec) << " " << rows << "x" << cols;
        }
      }
    }
  }
}

TEST(Scales, units_have_unit_rms_up_to_the_code) {
  const OwnedMatrix matrix = testing::gaussian(96, 64, 2, 0.7);
  const double bound = std::exp2(0.5 / 16) + 0.002;
  const OwnedMatrix row = normalised(fitted(matrix, {.spec = {ScaleKind::kRow}}), matrix);
  const OwnedMatrix column = normalised(fitted(matrix, {.spec = {ScaleKind::kColumn}}), matrix);
  const OwnedMatrix group = normalised(fitted(matrix, {.spec = {ScaleKind::kGroup, 24}}), matrix);
  const OwnedMatrix tensor = normalised(fitted(matrix, {.spec = {ScaleKind::kTensor}}), matrix);
  EXPECT_NEAR(rms(tensor, 0, 96, 0, 64), 1, 1e-5);
  for (size_t r = 0; r < 96; ++r) {
    EXPECT_NEAR(rms(row, r, 1, 0, 64), 1, bound - 1);
    for (size_t g = 0; g < 64; g += 24)
      EXPECT_NEAR(rms(group, r, 1, g, std::min<size_t>(24, 64 - g)), 1, bound - 1);
  }
  for (size_t c = 0; c < 64; ++c) EXPECT_NEAR(rms(column, 0, 96, c, 1), 1, bound - 1);
}

TEST(Scales, dual_reaches_the_fixed_point) {
  const OwnedMatrix matrix = testing::gaussian(120, 80, 3, 1.0);
  const MatrixScales scales = fitted(matrix, {.spec = {ScaleKind::kDual}});
  const OwnedMatrix u = normalised(scales, matrix);
  for (size_t r = 0; r < u.rows; ++r) EXPECT_NEAR(rms(u, r, 1, 0, u.cols), 1, 0.03);
  for (size_t c = 0; c < u.cols; ++c) EXPECT_NEAR(rms(u, 0, u.rows, c, 1), 1, 0.06);
  double log_sum = 0;
  for (float col : decode_all(scales.col_code, scales.col_codes)) log_sum += std::log2(col);
  EXPECT_NEAR(log_sum / 80, 0, 0.05);
}

TEST(Scales, asymmetric_units_are_centred) {
  OwnedMatrix matrix = testing::gaussian(40, 50, 4, 0.3);
  for (size_t r = 0; r < 40; ++r) {
    for (size_t c = 0; c < 50; ++c) matrix.at(r, c) += 0.05f * static_cast<float>(r % 5);
  }
  for (ScaleKind kind : {ScaleKind::kRow, ScaleKind::kDual}) {
    const OwnedMatrix u = normalised(fitted(matrix, {.spec = {kind}, .asymmetric = true}), matrix);
    for (size_t r = 0; r < 40; ++r) {
      const auto row = u.view().row(r);
      EXPECT_NEAR(std::accumulate(row.begin(), row.end(), 0.0) / 50, 0, 0.02);
      EXPECT_NEAR(rms(u, r, 1, 0, 50), 1, 0.04);
    }
  }
}

TEST(Scales, given_column_steps_are_kept_and_rows_fitted) {
  const OwnedMatrix matrix = testing::gaussian(30, 20, 6, 0.2);
  std::vector<float> steps(20);
  for (size_t j = 0; j < 20; ++j) steps[j] = 100.0f * std::exp2(static_cast<float>(j) / 4);
  const MatrixScales scales = fitted(matrix, {.spec = {ScaleKind::kDual}, .column_steps = steps});
  const auto cols = decode_all(scales.col_code, scales.col_codes);
  for (size_t j = 1; j < 20; ++j)
    EXPECT_NEAR(cols[j] / cols[0], steps[j] / steps[0], 1e-5 * steps[j] / steps[0]);
  const OwnedMatrix u = normalised(scales, matrix);
  for (size_t r = 0; r < 30; ++r) EXPECT_NEAR(rms(u, r, 1, 0, 20), 1, 0.03);
}

TEST(Scales, row_factors_multiply_the_fitted_rows) {
  const OwnedMatrix matrix = testing::gaussian(16, 32, 7, 0);
  std::vector<float> factors(16, 1.0f);
  factors[3] = 4.0f;
  const MatrixScales plain = fitted(matrix, {.spec = {ScaleKind::kRow}});
  const MatrixScales changed = fitted(matrix, {.spec = {ScaleKind::kRow}, .row_factors = factors});
  for (size_t r = 0; r < 16; ++r) {
    const float ratio =
        changed.row_code.decode(changed.row_codes[r]) / plain.row_code.decode(plain.row_codes[r]);
    EXPECT_FLOAT_EQ(ratio, r == 3 ? 4.0f : 1.0f);
  }
}

TEST(Scales, row_exponent_follows_the_matrix_not_its_scaled_columns) {
  OwnedMatrix matrix = testing::gaussian(24, 64, 9, 0);
  for (size_t r = 0; r < 24; ++r)
    for (size_t c = 0; c < 64; ++c) matrix.at(r, c) *= std::exp2(static_cast<float>(r) / 4);
  std::vector<float> steps(64);
  for (size_t j = 0; j < 64; ++j) steps[j] = std::exp2(static_cast<float>(j % 8) / 2);
  for (const double exponent : {1.0, 0.5, 0.0}) {
    const MatrixScales scales =
        fitted(matrix, {.spec = {ScaleKind::kDual}, .column_steps = steps, .row_exponent = exponent});
    const MatrixScales unit = fitted(matrix, {.spec = {ScaleKind::kDual}, .column_steps = steps});
    const auto rows = decode_all(scales.row_code, scales.row_codes);
    const auto unit_rows = decode_all(unit.row_code, unit.row_codes);
    double octaves = 0;
    for (size_t r = 0; r < 24; ++r) {
      octaves += std::log2(rows[r] / unit_rows[r]) / 24;
      if (exponent == 1) continue;  // unit RMS of x / col
      const double expected = exponent * std::log2(rms(matrix, r, 1, 0, 64) / rms(matrix, 0, 1, 0, 64));
      EXPECT_NEAR(std::log2(rows[r] / rows[0]), expected, 1.0 / 16) << exponent << ' ' << r;
    }
    EXPECT_NEAR(octaves, 0, 1.0 / 16);
  }
}

TEST(Scales, column_exponent_flattens_the_fixed_point) {
  OwnedMatrix matrix = testing::gaussian(256, 16, 10, 0);
  for (size_t r = 0; r < 256; ++r)
    for (size_t c = 0; c < 16; ++c) matrix.at(r, c) *= std::exp2(static_cast<float>(c) / 2);
  const MatrixScales plain = fitted(matrix, {});
  const MatrixScales half = fitted(matrix, {.column_exponent = 0.5});
  const auto full_cols = decode_all(plain.col_code, plain.col_codes);
  const auto half_cols = decode_all(half.col_code, half.col_codes);
  for (size_t c = 1; c < 16; ++c)
    EXPECT_NEAR(2 * std::log2(half_cols[c] / half_cols[0]), std::log2(full_cols[c] / full_cols[0]), 0.2);
}

// The steps of a factor of a product: as asked for, however large its columns are.
TEST(Scales, column_scales_take_an_exponent_and_steps_too) {
  OwnedMatrix matrix = testing::gaussian(2048, 3, 5, 0);
  for (size_t r = 0; r < matrix.rows; ++r) matrix.at(r, 1) *= 16;
  const std::vector<float> steps = {1, 2, 4};
  const MatrixScales scales =
      fitted(matrix, {.spec = {ScaleKind::kColumn}, .column_steps = steps, .column_exponent = 0});
  const auto col = [&](size_t c) { return double{scales.col_code.decode(scales.col_codes[c])}; };
  EXPECT_NEAR(std::log2(col(1) / col(0)), 1, 0.07);
  EXPECT_NEAR(std::log2(col(2) / col(0)), 2, 0.07);
  // The level of columns with unit RMS stays: 1, 16 and 1 have the geometric mean of 2^(4/3), times the
  // matrix's deviation of 0.02.
  EXPECT_NEAR(std::log2(col(0) / 0.02), 4.0 / 3, 0.1);
}

TEST(Scales, importance_steps_follow_the_exponent) {
  const std::vector<float> moments = {1.0f, 16.0f, 4.0f};
  const auto flat = importance_column_steps(moments, {.exponent = 0, .damping = 0.01});
  for (float s : *flat) EXPECT_FLOAT_EQ(s, 1.0f);
  const auto full = importance_column_steps(moments, {.exponent = 1, .damping = 0});
  EXPECT_NEAR((*full)[0] / (*full)[1], 4, 1e-5);
  EXPECT_NEAR((*full)[0] / (*full)[2], 2, 1e-5);
  const auto damped = importance_column_steps(std::vector<float>{0, 2}, {.exponent = 1, .damping = 0.01});
  EXPECT_NEAR((*damped)[0] / (*damped)[1], std::sqrt(2.01 / 0.01), 1e-4);
}

TEST(Scales, output_steps_go_with_the_fourth_root_and_keep_the_geometric_mean) {
  const auto steps = output_row_steps(std::vector<float>{1, 16, 256, 0}, 0.01);
  ASSERT_TRUE(steps.is_ok());
  EXPECT_NEAR((*steps)[1] / (*steps)[2], 2, 0.02);  // 1 % of the mean is added
  EXPECT_GT((*steps)[0], (*steps)[1]);
  EXPECT_TRUE(std::isfinite((*steps)[3]));
  EXPECT_NEAR((*steps)[0] * (*steps)[1] * (*steps)[2] * (*steps)[3], 1, 1e-5);
  EXPECT_FALSE(output_row_steps(std::vector<float>{0, 0}, 0.01).is_ok());
  EXPECT_FALSE(output_row_steps(std::vector<float>{1, NAN}, 0.01).is_ok());
}

TEST(Scales, bad_moments_are_errors) {
  for (const std::vector<float>& moments : {std::vector<float>{1, -1},
                                            {0, 0},
                                            {},
                                            {1, std::nanf("")},
                                            {1, std::numeric_limits<float>::infinity()}}) {
    EXPECT_EQ(importance_column_steps(moments, {}).error().kind, ErrorKind::kInvalidArgument);
  }
}

TEST(Scales, column_order_is_stable_by_code) {
  EXPECT_EQ(column_order(std::vector<uint8_t>{5, 3, 5, 0, 255, 3}),
            (std::vector<uint32_t>{3, 1, 5, 0, 2, 4}));
  EXPECT_TRUE(column_order({}).empty());
}

TEST(Scales, column_classes_travel_in_the_codes) {
  const OwnedMatrix matrix = testing::gaussian(10, 64, 12, 0.2);
  std::vector<float> steps(64);
  std::vector<uint8_t> classes(64);
  for (size_t j = 0; j < 64; ++j) {
    steps[j] = std::exp2(static_cast<float>(j % 23) / 9);
    classes[j] = static_cast<uint8_t>(j * 5 % 7);
  }
  const MatrixScales scales =
      fitted(matrix, {.spec = {ScaleKind::kDual}, .column_steps = steps, .column_classes = classes});
  EXPECT_EQ(class_order(scales.col_codes), column_order(classes));
  EXPECT_EQ(class_order(classes), column_order(classes));
  const auto cols = decode_all(scales.col_code, scales.col_codes);
  for (size_t j = 1; j < 64; ++j) {
    EXPECT_LE(std::fabs(std::log2(cols[j] / cols[0] * steps[0] / steps[j])), 2 * (0.125 + 0.02)) << j;
  }
}

TEST(Scales, same_bytes_from_any_reader_blocks) {
  // A reader that hands out rows from another stride and is asked twice gives the same codes.
  const OwnedMatrix matrix = testing::gaussian(300, 40, 8, 0.6);
  std::vector<float> wide(300 * 64, 1e9f);
  for (size_t r = 0; r < 300; ++r) std::copy_n(matrix.values.begin() + r * 40, 40, wide.begin() + r * 64);
  MemoryRowReader strided(MatrixView<const float>(wide.data(), 300, 40, 64));
  const auto again = fit_scales(strided, {.spec = {ScaleKind::kDual}});
  const MatrixScales scales = fitted(matrix, {.spec = {ScaleKind::kDual}});
  EXPECT_EQ(again->row_codes, scales.row_codes);
  EXPECT_EQ(again->col_codes, scales.col_codes);
}

TEST(Scales, decoder_formula_bit_for_bit) {
  // What numpy computes: float32(float32(index * step) * float32(row * col)), rows and
  // columns decoded from codes.
  const OwnedMatrix matrix = testing::gaussian(9, 6, 9, 0.5);
  const MatrixScales scales = fitted(matrix, {.spec = {ScaleKind::kDual}});
  OwnedMatrix u(9, 6), back(9, 6);
  for (size_t i = 0; i < u.values.size(); ++i) u.values[i] = (static_cast<float>(i) - 20) * 0.31f;
  denormalise(scales, 0, u.view(), back.view());
  for (size_t r = 0; r < 9; ++r) {
    for (size_t c = 0; c < 6; ++c) {
      const float row = scales.row_code.decode(scales.row_codes[r]),
                  col = scales.col_code.decode(scales.col_codes[c]);
      EXPECT_EQ(back.at(r, c), u.at(r, c) * (row * col));
    }
  }
}

}  // namespace
}  // namespace llmcodec
