// SPDX-License-Identifier: BSD-3-Clause
// Scales of a matrix: what the codec sees is u, and
//   weight[i][j] = (u[i][j] + zero) * (row[i] * col[j])                                       float32, in
//   exactly this order
// so row[i] * col[j] is the relative STEP of a weight (all u are coded with one step) and zero shifts the
// values of an asymmetric matrix. A symmetric matrix has no zeros and no addition: weight = u * (row[i] *
// col[j]). Kinds:
//
//   kind     scale of weight (i, j)              zero (asymmetric) per   stored codes
//   tensor   tensor_scale * 1                    tensor                  none (tensor_scale: float)
//   row      row[i] * 1                          row                     rows
//   column   1 * col[j]                          column                  cols
//   group:N  group[i][j / N] * 1                 group                   rows * ceil(cols / N)
//   dual     row[i] * col[j]                     row                     rows + cols
//
// Scales are stored as LogCode bytes; everything computes with the decoded values, on both sides, so coding
// them coarsely costs tuning and never accuracy. Multiplication by 1 is exact, so readers may always form row
// * col. A row, column or group that is entirely zero has code 0: its weights come back as exactly 0,
// whatever u is.
//
//   LLMC_ASSIGN_OR_RETURN(MatrixScales scales, fit_scales(reader, {.kind = ScaleKind::kDual}));
//   normalise(scales, first_row, x, u);      // encoder
//   denormalise(scales, first_row, u, x);    // decoder
//
// Errors: InvalidArgument with row, column and flat index for NaN or Inf; for options that do not fit the
// matrix. Deterministic: double sums in row-major order, no libm. Thread-safe on different matrices; no
// globals.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llmcodec/matrix_view.h"
#include "llmcodec/status.h"
#include "quant/log_code.h"
#include "quant/row_reader.h"

namespace llmcodec {

enum class ScaleKind { kTensor, kRow, kColumn, kGroup, kDual };

// "tensor", "row", "column", "group:128", "dual" and back, as in options and archives. parse:
// InvalidArgument.
struct ScaleSpec {
  ScaleKind kind = ScaleKind::kDual;
  uint32_t group_size = 0;  // inputs that share a scale; > 0 for kGroup only
  bool operator==(const ScaleSpec&) const = default;
};
std::string scale_spec_name(const ScaleSpec& spec);
Result<ScaleSpec> parse_scale_spec(std::string_view text);

// Everything an archive stores about the scales of one matrix. Vectors that the kind does not use are empty.
struct MatrixScales {
  ScaleSpec spec;
  bool asymmetric = false;
  uint64_t rows = 0, cols = 0;
  float tensor_scale = 1;  // kTensor only
  LogCode row_code, col_code, group_code;
  std::vector<uint8_t> row_codes;    // kRow, kDual: [rows]
  std::vector<uint8_t> col_codes;    // kColumn, kDual: [cols]
  std::vector<uint8_t> group_codes;  // kGroup: [rows, groups()]
  std::vector<uint16_t> zeros;       // asymmetric: IEEE half bits [1], [rows], [cols] or [rows, groups()]

  uint64_t groups() const;      // of one row: ceil(cols / group_size); 0 unless kGroup
  uint64_t zero_count() const;  // elements `zeros` must have
  uint64_t side_bytes() const;  // bytes of all codes and zeros, uncompressed
};

// What a reader of archives must check before it uses the scales: sizes, code parameters, finite zeros.
// Corrupt.
Status validate(const MatrixScales& scales);

struct ScaleOptions {
  ScaleSpec spec = {};
  bool asymmetric = false;
  uint32_t per_octave = 16;  // resolution of the log codes
  // kDual only. Given: col[j] is proportional to column_steps[j] (> 0, finite; one per column) and only the
  // rows are fitted, to unit RMS of x / col (see importance_column_steps and closed_loop_column_steps).
  // Empty: col and row by alternating normalisation to unit RMS in every row and column.
  std::span<const float> column_steps = {};
  // kRow and kDual. Given (one per row, > 0): the fitted row scale times row_factors[i], e.g. coarser steps
  // for the embeddings of rare tokens.
  std::span<const float> row_factors = {};
};

// Fits scales so that u has unit RMS in each unit of the kind (about its mean where asymmetric); reads the
// matrix 1 to about 12 times. The geometric mean of col over live columns is about 1.
Result<MatrixScales> fit_scales(RowReader& reader, const ScaleOptions& options);

// u = x / (row * col) - zero for matrix rows [first_row, first_row + x.rows); both views x.rows x cols. u is
// 0 where the scale is 0. x must be finite; u may then still be infinite when a weight is beyond 2^128 steps
// of a tiny scale: the outlier list must take such a weight.
void normalise(const MatrixScales& scales, size_t first_row, MatrixView<const float> x, MatrixView<float> u);
// The inverse, normative: x = (u + zero) * (row * col), or exactly 0 where the scale is 0. In place allowed
// (u == x).
void denormalise(const MatrixScales& scales, size_t first_row, MatrixView<const float> u,
                 MatrixView<float> x);

// col[j] proportional to (d_j + damping * mean(d))^(-exponent / 2) for input second moments d_j = E[x_j^2] >=
// 0: inputs that carry more energy get finer steps. InvalidArgument for negative or non-finite moments, or
// all zero.
struct ImportanceOptions {
  double exponent = 0.75;  // 0 ignores the moments, 1 makes the output error energy equal for all inputs
  double damping = 0.01;
};
Result<std::vector<float>> importance_column_steps(std::span<const float> moments,
                                                   const ImportanceOptions& options);

// Order in which the columns are coded when the flag "ordered" is set: ascending code (finest steps, that is
// the most important inputs, first), ties by index. order[k] = matrix column at coded position k. The decoder
// recomputes it.
std::vector<uint32_t> column_order(std::span<const uint8_t> col_codes);

}  // namespace llmcodec
