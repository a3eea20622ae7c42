// SPDX-License-Identifier: BSD-3-Clause
#include "quant/scales.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/wider_vectors.h"
#include "quant/half.h"
#include "quant/portable_math.h"

namespace llmcodec {
namespace {

// 0 where the scale is: a dead row or column.
LLMC_WIDER_VECTORS
void divide(std::span<const float> x, std::span<const float> scales, std::span<float> u) {
  for (size_t j = 0; j < scales.size(); ++j) {
    const float scale = scales[j] > 0 ? scales[j] : 1.0f;
    const float quotient = x[j] / scale;
    u[j] = scales[j] > 0 ? quotient : 0.0f;
  }
}

Status check_size(const char* what, uint64_t have, uint64_t want) {
  if (have == want) return Status::ok();
  return error(ErrorKind::kCorrupt, "{} has {} entries where {} are needed", what, have, want);
}

Status check_code(const char* what, const LogCode& code) {
  if (code.is_valid()) return Status::ok();
  return error(ErrorKind::kCorrupt, "{} has base {} with {} codes per octave: not a valid scale code", what,
               code.base, code.per_octave);
}

}  // namespace

std::string scale_spec_name(const ScaleSpec& spec) {
  switch (spec.kind) {
    case ScaleKind::kTensor:
      return "tensor";
    case ScaleKind::kRow:
      return "row";
    case ScaleKind::kColumn:
      return "column";
    case ScaleKind::kGroup:
      return fmt::format("group:{}", spec.group_size);
    case ScaleKind::kDual:
      return "dual";
  }
  return "unknown";
}

Result<ScaleSpec> parse_scale_spec(std::string_view text) {
  for (ScaleKind kind : {ScaleKind::kTensor, ScaleKind::kRow, ScaleKind::kColumn, ScaleKind::kDual}) {
    if (text == scale_spec_name({kind, 0})) return ScaleSpec{kind, 0};
  }
  constexpr std::string_view kPrefix = "group:";
  if (text.starts_with(kPrefix)) {
    uint32_t size = 0;
    const auto [end, failure] =
        std::from_chars(text.data() + kPrefix.size(), text.data() + text.size(), size);
    if (failure == std::errc() && end == text.data() + text.size() && size > 0)
      return ScaleSpec{ScaleKind::kGroup, size};
  }
  return error(ErrorKind::kInvalidArgument, "scales '{}': expected tensor, row, column, group:N or dual",
               text);
}

uint64_t MatrixScales::groups() const {
  return spec.kind == ScaleKind::kGroup && spec.group_size > 0 ? ceil_div(cols, spec.group_size) : 0;
}

uint64_t MatrixScales::zero_count() const {
  switch (spec.kind) {
    case ScaleKind::kTensor:
      return 1;
    case ScaleKind::kColumn:
      return cols;
    case ScaleKind::kGroup:
      return rows * groups();
    case ScaleKind::kRow:
    case ScaleKind::kDual:
      return rows;
  }
  return 0;
}

uint64_t MatrixScales::side_bytes() const {
  return row_codes.size() + col_codes.size() + group_codes.size() + 2 * zeros.size();
}

Status validate(const MatrixScales& scales) {
  const ScaleKind kind = scales.spec.kind;
  if ((kind == ScaleKind::kGroup) != (scales.spec.group_size > 0)) {
    return error(ErrorKind::kCorrupt, "group size {} for {} scales", scales.spec.group_size,
                 scale_spec_name(scales.spec));
  }
  const bool has_rows = kind == ScaleKind::kRow || kind == ScaleKind::kDual;
  const bool has_cols = kind == ScaleKind::kColumn || kind == ScaleKind::kDual;
  LLMC_RETURN_IF_ERROR(check_size("row_scale", scales.row_codes.size(), has_rows ? scales.rows : 0));
  LLMC_RETURN_IF_ERROR(check_size("col_scale", scales.col_codes.size(), has_cols ? scales.cols : 0));
  const auto group_count = checked_mul(scales.rows, scales.groups());
  if (!group_count)
    return error(ErrorKind::kCorrupt, "{} x {} groups overflow", scales.rows, scales.groups());
  LLMC_RETURN_IF_ERROR(check_size("group_scale", scales.group_codes.size(), *group_count));
  LLMC_RETURN_IF_ERROR(check_size("zero", scales.zeros.size(), scales.asymmetric ? scales.zero_count() : 0));
  if (has_rows) LLMC_RETURN_IF_ERROR(check_code("row_scale", scales.row_code));
  if (has_cols) LLMC_RETURN_IF_ERROR(check_code("col_scale", scales.col_code));
  if (kind == ScaleKind::kGroup) LLMC_RETURN_IF_ERROR(check_code("group_scale", scales.group_code));
  if (kind == ScaleKind::kTensor && !(std::isfinite(scales.tensor_scale) && scales.tensor_scale >= 0)) {
    return error(ErrorKind::kCorrupt, "tensor scale {}", scales.tensor_scale);
  }
  for (size_t i = 0; i < scales.zeros.size(); ++i) {
    if (!std::isfinite(half_to_float(scales.zeros[i])))
      return error(ErrorKind::kCorrupt, "zero {} is not finite", i);
  }
  return Status::ok();
}

RowScales::RowScales(const MatrixScales& scales)
    : scales_(scales),
      columns_(scales.cols, 1),
      products_(scales.cols),
      zeros_(scales.asymmetric ? scales.cols : 0) {
  const LogCode& code = scales.spec.kind == ScaleKind::kGroup ? scales.group_code : scales.row_code;
  for (size_t c = 0; c < rows_.size(); ++c) rows_[c] = code.decode(static_cast<uint8_t>(c));
  if (!scales.col_codes.empty()) columns_ = decode_all(scales.col_code, scales.col_codes);
}

void RowScales::move_to(size_t row) {
  if (scales_.spec.kind == ScaleKind::kGroup) return spread_groups(row);
  const float factor = scales_.spec.kind == ScaleKind::kTensor ? scales_.tensor_scale
                       : scales_.row_codes.empty()             ? 1.0f
                                                               : rows_[scales_.row_codes[row]];
  for (size_t j = 0; j < products_.size(); ++j) products_[j] = factor * columns_[j];
  if (zeros_.empty()) return;
  if (scales_.spec.kind == ScaleKind::kColumn) {
    std::transform(scales_.zeros.begin(), scales_.zeros.end(), zeros_.begin(), half_to_float);
  } else {
    const size_t index = scales_.spec.kind == ScaleKind::kTensor ? 0 : row;
    std::fill(zeros_.begin(), zeros_.end(), half_to_float(scales_.zeros[index]));
  }
}

void RowScales::spread_groups(size_t row) {
  const size_t groups = scales_.groups(), size = scales_.spec.group_size;
  for (size_t g = 0; g < groups; ++g) {
    const size_t begin = g * size, end = std::min<size_t>(begin + size, products_.size());
    const size_t index = row * groups + g;
    std::fill(products_.begin() + begin, products_.begin() + end, rows_[scales_.group_codes[index]]);
    if (zeros_.empty()) continue;
    std::fill(zeros_.begin() + begin, zeros_.begin() + end, half_to_float(scales_.zeros[index]));
  }
}

void RowScales::normalise(size_t first_row, MatrixView<const float> x, MatrixView<float> u) {
  for (size_t r = 0; r < x.rows; ++r) {
    move_to(first_row + r);
    divide(x.row(r), products_, u.row(r));
    const auto target = u.row(r);
    for (size_t j = 0; j < zeros_.size(); ++j) target[j] -= zeros_[j];
  }
}

void RowScales::denormalise(size_t first_row, MatrixView<const float> u, MatrixView<float> x) {
  for (size_t r = 0; r < u.rows; ++r) {
    move_to(first_row + r);
    const auto source = u.row(r);
    const auto target = x.row(r);
    if (zeros_.empty()) {
      for (size_t j = 0; j < products_.size(); ++j) target[j] = source[j] * products_[j];
    } else {
      for (size_t j = 0; j < products_.size(); ++j) target[j] = (source[j] + zeros_[j]) * products_[j];
    }
  }
}

void normalise(const MatrixScales& scales, size_t first_row, MatrixView<const float> x, MatrixView<float> u) {
  RowScales(scales).normalise(first_row, x, u);
}

void denormalise(const MatrixScales& scales, size_t first_row, MatrixView<const float> u,
                 MatrixView<float> x) {
  RowScales(scales).denormalise(first_row, u, x);
}

Result<std::vector<float>> importance_column_steps(std::span<const float> moments,
                                                   const ImportanceOptions& options) {
  double sum = 0;
  for (size_t j = 0; j < moments.size(); ++j) {
    if (!std::isfinite(moments[j]) || moments[j] < 0) {
      return error(ErrorKind::kInvalidArgument, "second moment {} at {}: must be finite and not negative",
                   moments[j], j);
    }
    sum += moments[j];
  }
  if (!(sum > 0)) return error(ErrorKind::kInvalidArgument, "all {} second moments are zero", moments.size());
  const double mean = sum / static_cast<double>(moments.size());
  const double floor = std::max(options.damping, 1e-12) * mean;
  std::vector<float> steps(moments.size());
  for (size_t j = 0; j < steps.size(); ++j) {
    steps[j] = static_cast<float>(portable_pow((moments[j] + floor) / mean, -options.exponent / 2));
  }
  return steps;
}

Result<std::vector<float>> output_row_steps(std::span<const float> moments, double damping) {
  LLMC_ASSIGN_OR_RETURN(std::vector<float> steps,
                        importance_column_steps(moments, {.exponent = 0.5, .damping = damping}));
  double octaves = 0;
  for (float step : steps) octaves += portable_log2(step);
  const double mean = portable_exp2(octaves / static_cast<double>(steps.size()));
  for (float& step : steps) step = static_cast<float>(step / mean);
  return steps;
}

std::vector<uint32_t> column_order(std::span<const uint8_t> col_codes) {
  std::vector<uint32_t> order(col_codes.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return col_codes[a] < col_codes[b]; });
  return order;
}

std::vector<uint32_t> class_order(std::span<const uint8_t> col_codes) {
  std::vector<uint8_t> classes(col_codes.size());
  std::transform(col_codes.begin(), col_codes.end(), classes.begin(),
                 [](uint8_t c) { return c % kColumnClasses; });
  return column_order(classes);
}

}  // namespace llmcodec
