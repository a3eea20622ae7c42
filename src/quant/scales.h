// SPDX-License-Identifier: BSD-3-Clause
// Scales of a matrix: what the codec sees is u, and
//   weight[i][j] = (u[i][j] + zero) * (row[i] * col[j])          float32, in exactly this order (normative)
// so row[i] * col[j] is the relative STEP of a weight (all u are coded with one step) and zero shifts the
// values of an asymmetric matrix. A symmetric matrix has no addition: weight = u * (row[i] * col[j]). Kinds:
//
//   kind     scale of weight (i, j)      one zero (asymmetric) per   stored codes
//   tensor   tensor_scale                tensor                      none (tensor_scale is a float)
//   row      row[i]                      row                         rows
//   column   col[j]                      column                      cols
//   group:N  group[i][j / N]             group                       rows * ceil(cols / N)
//   dual     row[i] * col[j]             row                         rows + cols
//
// Scales are stored as LogCode bytes; both sides compute with the decoded values, so coding them coarsely
// costs tuning and never accuracy. A row, column or group that is entirely zero has code 0: its weights come
// back as 0 whatever u is.
//
// Example (RowReader& reader, MatrixView<float> x, MatrixView<float> u):
//
//   LLMC_ASSIGN_OR_RETURN(const MatrixScales scales, fit_scales(reader, {.spec = {ScaleKind::kDual}}));
//   normalise(scales, 0, x, u);    // encoder; 0: the matrix row that is the first of x
//   denormalise(scales, 0, u, x);  // decoder
//
// Deterministic: double sums in fixed order, no libm. Thread-safe, no globals.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llmcodec/matrix_view.h"
#include "llmcodec/status.h"
#include "quant/log_code.h"
#include "quant/row_reader.h"

namespace llmcodec {

inline constexpr uint32_t kColumnClasses = 8;  // of the coding order that col codes can carry

enum class ScaleKind { kTensor, kRow, kColumn, kGroup, kDual };

struct ScaleSpec {
  ScaleKind kind = ScaleKind::kDual;
  uint32_t group_size = 0;  // inputs that share a scale; > 0 for kGroup, else 0
  bool operator==(const ScaleSpec&) const = default;
};
// "tensor", "row", "column", "group:128", "dual" and back. parse: InvalidArgument.
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
  std::vector<uint16_t> zeros;       // asymmetric: binary16 bits; [1], [rows], [cols] or [rows, groups()]
  // kRow, kDual: the RMS in each row of u (empty: about 1) and of the weights, as the fit found them. No archive has them.
  std::vector<float> row_rms, weight_rms;

  uint64_t groups() const;      // of one row: ceil(cols / group_size); 0 unless kGroup
  uint64_t zero_count() const;  // elements `zeros` has when asymmetric
  uint64_t side_bytes() const;  // bytes of all codes and zeros, uncompressed
};

// What a reader of archives checks before it uses the scales: sizes, code parameters, finite
// zeros and scales. Corrupt.
Status validate(const MatrixScales& scales);

struct ScaleOptions {
  ScaleSpec spec = {};
  bool asymmetric = false;
  uint32_t per_octave = 16;  // resolution of the log codes, see LogCode
  // kColumn: the fitted column scale is multiplied by column_steps[j], as row_factors do. kDual: given (one per
  // column, > 0, finite), col[j] is proportional to column_steps[j] and only the rows are fitted, to unit RMS of x / col; see importance_column_steps and closed_loop_columns. Empty:
  // rows and columns by alternating normalisation to unit RMS in every row and column, to a fixed point.
  std::span<const float> column_steps = {};
  // With column_steps only. Given (one per column, below kColumnClasses): col codes have 32 per octave and
  // are rounded to the nearest code with code mod kColumnClasses == class (at most 1/8 octave away), so that
  // class_order() of the codes is the coding order and needs no storage. Dead columns have code 0, class 0.
  std::span<const uint8_t> column_classes = {};
  // kRow and kDual. Below 1, loud rows get finer steps than their RMS asks for: row[i] is proportional to
  // (RMS of row i of the matrix itself, not of x / col) ^ row_exponent, with the geometric mean of rows that
  // have unit RMS. 0..1.
  double row_exponent = 1;
  // kDual without column_steps: col[j] is the fixed point's to this power. kColumn: as row_exponent. 0..1.
  double column_exponent = 1;
  // kRow and kDual. Given (one per row, > 0, finite): the fitted row scale is multiplied by row_factors[i],
  // e.g. to give the embeddings of rare tokens coarser steps.
  std::span<const float> row_factors = {};
};

// Fits scales so that u has unit RMS in each unit of the kind (about its mean where asymmetric). Reads the
// matrix once, for dual without column_steps 3 to 13 times. The geometric mean of col over live columns is
// about 1. InvalidArgument: a NaN or Inf in the matrix (row, column and flat index in the message), values
// too large to scale, options that do not fit the matrix, an empty matrix. `largest`, if given: raised to the
// largest magnitude of a weight where that is larger.
Result<MatrixScales> fit_scales(RowReader& reader, const ScaleOptions& options, float* largest = nullptr);

// The scales and zeros of one matrix, ready for use on some rows after others. Not thread-safe; the
// MatrixScales must outlive it.
class RowScales {
 public:
  explicit RowScales(const MatrixScales& scales);
  // u = x / (row * col) - zero for matrix rows [first_row, first_row + x.rows); both views x.rows x cols,
  // u == x allowed. u is -zero where the scale is 0 or x is 0. x is finite; u may be infinite for a
  // weight beyond 2^128 steps of a tiny scale: the outlier list must take it. u is what a decoder wants
  // up to a few float roundings.
  void normalise(size_t first_row, MatrixView<const float> x, MatrixView<float> u);
  // The inverse, normative formula above; u == x allowed.
  void denormalise(size_t first_row, MatrixView<const float> u, MatrixView<float> x);

 private:
  void move_to(size_t row);
  void spread_groups(size_t row);

  const MatrixScales& scales_;
  std::array<float, 256> rows_;          // or groups, by their code
  std::vector<float> columns_;           // 1 where there are none
  std::vector<float> products_, zeros_;  // of one row: row * col; empty when symmetric
};

// The same, once.
void normalise(const MatrixScales& scales, size_t first_row, MatrixView<const float> x, MatrixView<float> u);
void denormalise(const MatrixScales& scales, size_t first_row, MatrixView<const float> u,
                 MatrixView<float> x);

// column_steps for fit_scales: (d_j + damping * mean(d))^(-exponent / 2) for input second moments
// d_j = E[x_j^2] >= 0; inputs that carry more energy get finer steps. InvalidArgument for negative or
// non-finite moments, or all zero.
struct ImportanceOptions {
  double exponent = 0.75;  // 0 ignores the moments; 1 makes the output error energy equal for all inputs
  double damping = 0.01;
};
Result<std::vector<float>> importance_column_steps(std::span<const float> moments,
                                                   const ImportanceOptions& options);

// row_factors for fit_scales: (d_i + damping * mean(d))^(-1/4) for output moments d_i = E[g_i^2] >= 0, over
// their geometric mean; outputs that the model's answer depends on get finer steps. InvalidArgument as above.
Result<std::vector<float>> output_row_steps(std::span<const float> moments, double damping);

// Orders of columns that a decoder recomputes from the col codes; order[k] = matrix column at position k.
//   column_order  by rising code, ties by rising column: columns of similar size side by side
//   class_order   by rising code mod kColumnClasses, ties by rising column: the closed loop
//                 (quant/feedback.h); a list of plain classes works too
std::vector<uint32_t> column_order(std::span<const uint8_t> col_codes);
std::vector<uint32_t> class_order(std::span<const uint8_t> col_codes);

}  // namespace llmcodec
