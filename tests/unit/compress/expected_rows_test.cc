// SPDX-License-Identifier: BSD-3-Clause
#include "compress/expected_rows.h"

#include <gtest/gtest.h>

namespace llmcodec {
namespace {

// Four rows of two weights; the third is eight times as loud as the others at the same scale.
FittedTensor tensor() {
  FittedTensor tensor;
  tensor.shape = {1, 4, 2};
  MatrixScales scales;
  scales.rows = 4;
  scales.cols = 2;
  scales.row_code = {1, 8};
  scales.row_codes.assign(4, scales.row_code.encode(1));
  scales.row_rms = {1, 1, 8, 0};
  tensor.scales = {scales};
  return tensor;
}

TEST(ExpectedRows, LouderRowsTakeMoreBytesAndEnergy) {
  const FittedTensor fitted = tensor();
  const ExpectedRows quiet = expected_rows(fitted, 0, {0, 1}, -2),
                     loud = expected_rows(fitted, 0, {2, 1}, -2);
  EXPECT_NEAR(loud.bytes - quiet.bytes, 2 * 3.0 / 8, 0.1) << "three octaves of two weights are six bits";
  EXPECT_DOUBLE_EQ(loud.signal, 64 * quiet.signal);
  EXPECT_DOUBLE_EQ(loud.error, quiet.error) << "the step is the same";
  const ExpectedRows dead = expected_rows(fitted, 0, {3, 1}, -2);
  EXPECT_LT(dead.bytes, quiet.bytes / 10);
  EXPECT_LT(dead.error, quiet.error / 1000);
}

TEST(ExpectedRows, RowsAddUp) {
  const FittedTensor fitted = tensor();
  ExpectedRows sum = expected_rows(fitted, 0, {0, 3}, -1);
  sum.add(expected_rows(fitted, 0, {3, 1}, -1));
  const ExpectedRows all = expected_rows(fitted, 0, {0, 4}, -1);
  EXPECT_DOUBLE_EQ(sum.bytes, all.bytes);
  EXPECT_DOUBLE_EQ(sum.signal, all.signal);
  EXPECT_EQ(expected_rows(fitted, 0, {0, 3}, -1, true).bytes,
            expected_rows(fitted, 0, {1, 3}, 1, true).bytes);
}

}  // namespace
}  // namespace llmcodec
