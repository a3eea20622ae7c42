// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/finite.h"
#include "quant/half.h"
#include "quant/portable_math.h"
#include "quant/scales.h"

namespace llmcodec {
namespace {

constexpr int kMaxDualPasses = 12;
constexpr double kDualTolerance = 1.0 / 64;  // octaves; a quarter of a code at 16 per octave
// An asymmetric unit's scale is at least this part of its mean: its zero stays a half-float with 3 digits,
// and a constant unit stays codable.
constexpr double kMinScaleOfMean = 1.0 / 256;
constexpr uint32_t kClassedPerOctave = 32;  // eight classes: a step is at most 1/8 octave off
constexpr size_t kLanes = 8;                // partial sums: fixed order on every CPU, and fast

struct Sums {
  double sum = 0;
  double squares = 0;
  double count = 0;
};

struct Unit {
  double mean = 0;
  double scale = 0;
};

// Mean and RMS (about the mean where asymmetric) of what `sums` saw; scale 0 for all-zero units.
Unit unit_of(const Sums& sums, bool asymmetric) {
  if (sums.count == 0 || sums.squares == 0) return {};
  if (!asymmetric) return {0, std::sqrt(sums.squares / sums.count)};
  const double mean = sums.sum / sums.count;
  const double variance = std::max(0.0, sums.squares / sums.count - mean * mean);
  return {mean, std::max(std::sqrt(variance), std::fabs(mean) * kMinScaleOfMean)};
}

// Sums of value(j), j in [begin, end).
template <class Value>
Sums sum_up(size_t begin, size_t end, Value value) {
  double sum[kLanes] = {}, squares[kLanes] = {};
  size_t j = begin;
  for (; j + kLanes <= end; j += kLanes) {
    for (size_t k = 0; k < kLanes; ++k) {
      const double v = value(j + k);
      sum[k] += v;
      squares[k] += v * v;
    }
  }
  Sums total;
  total.count = static_cast<double>(end - begin);
  for (; j < end; ++j) {
    const double v = value(j);
    sum[0] += v;
    squares[0] += v * v;
  }
  for (size_t k = 0; k < kLanes; ++k) {
    total.sum += sum[k];
    total.squares += squares[k];
  }
  return total;
}

Error not_finite(size_t i, size_t j, size_t cols, float value) {
  return error(ErrorKind::kInvalidArgument, "{} at row {}, column {} (index {})",
               std::isnan(value) ? "NaN" : "infinity", i, j, i * cols + j);
}

// Rows of a matrix that is read in several passes; the first one checks that all weights are finite and finds
// the largest.
class CheckedRows final : public RowReader {
 public:
  explicit CheckedRows(RowReader& rows) : rows_(rows) {}
  size_t rows() const override { return rows_.rows(); }
  size_t cols() const override { return rows_.cols(); }
  Status read_rows(size_t first, MatrixView<float> out) override {
    LLMC_RETURN_IF_ERROR(rows_.read_rows(first, out));
    for (size_t r = 0; r < out.rows && first + r >= checked_; ++r)
      LLMC_RETURN_IF_ERROR(check(first + r, out.row(r)));
    checked_ = std::max(checked_, first + out.rows);
    return Status::ok();
  }
  float largest() const { return largest_; }

 private:
  Status check(size_t i, std::span<const float> row) {
    const float largest = largest_magnitude(row);
    if (std::isfinite(largest)) {
      largest_ = std::max(largest_, largest);
      return Status::ok();
    }
    const auto bad = std::ranges::find_if_not(row, [](float value) { return std::isfinite(value); });
    return not_finite(i, static_cast<size_t>(bad - row.begin()), row.size(), *bad);
  }

  RowReader& rows_;
  size_t checked_ = 0;  // rows above this one are known
  float largest_ = 0;
};

template <class Visit>
Status for_each_row(RowReader& reader, Visit visit) {
  return for_each_row_block(reader, [&](size_t first_row, MatrixView<const float> block) -> Status {
    for (size_t r = 0; r < block.rows; ++r) visit(first_row + r, block.row(r));
    return Status::ok();
  });
}

// Geometric mean of the positive entries; 1 when there are none.
double geometric_mean(const std::vector<double>& values) {
  double sum = 0, count = 0;
  for (double v : values) {
    if (v > 0) sum += portable_log2(v), ++count;
  }
  return count > 0 ? portable_exp2(sum / count) : 1;
}

// Divides the positive entries by their geometric mean.
void normalise_geometric_mean(std::vector<double>& values) {
  const double mean = geometric_mean(values);
  for (double& v : values) v /= mean;
}

uint16_t zero_bits(double mean, float scale) {
  return scale > 0 ? half_from_float(static_cast<float>(mean / scale)) : uint16_t{0};
}

// Codes units into `codes` and, where asymmetric, appends their zeros.
void code_units(const std::vector<Unit>& units, uint32_t per_octave, LogCode& code,
                std::vector<uint8_t>& codes, MatrixScales& scales) {
  std::vector<double> values(units.size());
  std::transform(units.begin(), units.end(), values.begin(), [](const Unit& u) { return u.scale; });
  code = fit_log_code(values, per_octave);
  codes = encode_all(code, values);
  if (!scales.asymmetric) return;
  for (size_t i = 0; i < units.size(); ++i)
    scales.zeros.push_back(zero_bits(units[i].mean, code.decode(codes[i])));
}

// Rows are coded by their shaped scales, so that u has not the RMS that was fitted.
void note_rms(const std::vector<Unit>& fitted, const std::vector<double>& rms, MatrixScales& scales) {
  scales.weight_rms.assign(rms.begin(), rms.end());
  const std::vector<float> coded = decode_all(scales.row_code, scales.row_codes);
  scales.row_rms.resize(coded.size());
  for (size_t i = 0; i < coded.size(); ++i)
    scales.row_rms[i] = coded[i] > 0 ? static_cast<float>(fitted[i].scale / coded[i]) : 0.0f;
}

Status fit_tensor(RowReader& reader, MatrixScales& scales) {
  Sums total;
  LLMC_RETURN_IF_ERROR(for_each_row(reader, [&](size_t, std::span<const float> row) {
    const Sums sums = sum_up(0, row.size(), [&](size_t j) { return double{row[j]}; });
    total.sum += sums.sum;
    total.squares += sums.squares;
    total.count += sums.count;
  }));
  const Unit unit = unit_of(total, scales.asymmetric);
  scales.tensor_scale = static_cast<float>(unit.scale);
  if (scales.asymmetric) scales.zeros.push_back(zero_bits(unit.mean, scales.tensor_scale));
  return Status::ok();
}

// Scales of rows (or columns) by a power of their own RMS, then by the caller's factors; dead ones stay dead.
void shape(const std::vector<double>& rms, double exponent, std::span<const float> factors,
           std::vector<Unit>& units) {
  if (exponent != 1) {
    std::vector<double> fitted(units.size()), powers(units.size());
    for (size_t i = 0; i < units.size(); ++i) {
      fitted[i] = units[i].scale;
      powers[i] = units[i].scale > 0 ? portable_pow(rms[i], exponent) : 0;
    }
    const double factor = geometric_mean(fitted) / geometric_mean(powers);
    for (size_t i = 0; i < units.size(); ++i) units[i].scale = powers[i] * factor;
  }
  for (size_t i = 0; i < factors.size(); ++i) units[i].scale *= factors[i];
}

Status fit_rows(RowReader& reader, const ScaleOptions& options, MatrixScales& scales) {
  std::vector<Unit> units(scales.rows);
  std::vector<double> rms(scales.rows);
  LLMC_RETURN_IF_ERROR(for_each_row(reader, [&](size_t i, std::span<const float> row) {
    const Sums sums = sum_up(0, row.size(), [&](size_t j) { return double{row[j]}; });
    units[i] = unit_of(sums, scales.asymmetric);
    rms[i] = unit_of(sums, false).scale;
  }));
  const std::vector<Unit> fitted = units;
  shape(rms, options.row_exponent, options.row_factors, units);
  code_units(units, options.per_octave, scales.row_code, scales.row_codes, scales);
  note_rms(fitted, rms, scales);
  return Status::ok();
}

Status fit_columns(RowReader& reader, const ScaleOptions& options, MatrixScales& scales) {
  std::vector<Sums> sums(scales.cols);
  LLMC_RETURN_IF_ERROR(for_each_row(reader, [&](size_t, std::span<const float> row) {
    for (size_t j = 0; j < row.size(); ++j) {
      const double v = row[j];
      sums[j].sum += v;
      sums[j].squares += v * v;
      sums[j].count += 1;
    }
  }));
  std::vector<Unit> units(scales.cols);
  std::transform(sums.begin(), sums.end(), units.begin(),
                 [&](const Sums& s) { return unit_of(s, scales.asymmetric); });
  std::vector<double> rms(scales.cols);
  std::transform(sums.begin(), sums.end(), rms.begin(),
                 [](const Sums& s) { return unit_of(s, false).scale; });
  shape(rms, options.column_exponent, options.column_steps, units);
  code_units(units, options.per_octave, scales.col_code, scales.col_codes, scales);
  return Status::ok();
}

Status fit_groups(RowReader& reader, const ScaleOptions& options, MatrixScales& scales) {
  const size_t groups = scales.groups(), size = scales.spec.group_size;
  std::vector<Unit> units(scales.rows * groups);
  LLMC_RETURN_IF_ERROR(for_each_row(reader, [&](size_t i, std::span<const float> row) {
    for (size_t g = 0; g < groups; ++g) {
      const Sums sums =
          sum_up(g * size, std::min((g + 1) * size, row.size()), [&](size_t j) { return double{row[j]}; });
      units[i * groups + g] = unit_of(sums, scales.asymmetric);
    }
  }));
  code_units(units, options.per_octave, scales.group_code, scales.group_codes, scales);
  return Status::ok();
}

// One matrix row seen through column scales: y = x / col, live columns only (inverse 0 elsewhere).
Sums scaled_sums(std::span<const float> row, const std::vector<double>& inverse_cols, double live) {
  Sums sums = sum_up(0, row.size(), [&](size_t j) { return row[j] * inverse_cols[j]; });
  sums.count = live;
  return sums;
}

std::vector<double> inverses(const std::vector<double>& values) {
  std::vector<double> result(values.size());
  std::transform(values.begin(), values.end(), result.begin(), [](double v) { return v > 0 ? 1 / v : 0; });
  return result;
}

double count_live(const std::vector<double>& values) {
  return static_cast<double>(std::count_if(values.begin(), values.end(), [](double v) { return v > 0; }));
}

// Row scales for the present columns, then the columns that these rows ask for: one pass over the matrix. A
// column that its rows' zeros explain entirely is not dead: it keeps a part of its own size.
Status dual_pass(RowReader& reader, bool asymmetric, std::vector<double>& cols) {
  const std::vector<double> inverse_cols = inverses(cols);
  const double live_cols = count_live(cols);
  std::vector<double> squares(cols.size(), 0), floors(asymmetric ? cols.size() : 0, 0);
  double live_rows = 0;
  LLMC_RETURN_IF_ERROR(for_each_row(reader, [&](size_t, std::span<const float> row) {
    const Unit unit = unit_of(scaled_sums(row, inverse_cols, live_cols), asymmetric);
    if (unit.scale == 0) return;
    ++live_rows;
    const double inverse_row = 1 / unit.scale;
    for (size_t j = 0; j < row.size(); ++j) {
      const double v = (row[j] - unit.mean * cols[j]) * inverse_row;
      squares[j] += v * v;
    }
    for (size_t j = 0; j < floors.size(); ++j) {
      const double v = row[j] * inverse_row * kMinScaleOfMean;
      floors[j] += v * v;
    }
  }));
  for (size_t j = 0; j < cols.size(); ++j) {
    if (asymmetric) squares[j] = floors[j] > 0 ? std::max(squares[j], floors[j]) : 0;
    cols[j] = live_rows > 0 ? std::sqrt(squares[j] / live_rows) : 0;
  }
  return Status::ok();
}

double largest_change(const std::vector<double>& before, const std::vector<double>& after) {
  double change = 0;
  for (size_t j = 0; j < before.size(); ++j) {
    if (after[j] > 0 && before[j] > 0)
      change = std::max(change, std::fabs(portable_log2(after[j] / before[j])));
  }
  return change;
}

// Columns of a fixed point of alternating normalisation. Patterns of zeros without one (a triangle)
// stop at the limit.
Result<std::vector<double>> dual_columns(RowReader& reader, bool asymmetric) {
  std::vector<double> cols(reader.cols(), 1);
  for (int pass = 0; pass < kMaxDualPasses; ++pass) {
    std::vector<double> before = cols;
    LLMC_RETURN_IF_ERROR(dual_pass(reader, asymmetric, cols));
    normalise_geometric_mean(cols);
    if (pass > 0 && largest_change(before, cols) < kDualTolerance) break;
  }
  return cols;
}

// Columns in which every weight is zero get code 0; the rows' sums counted them, so the number of
// live ones is returned.
struct RowFit {
  std::vector<Sums> rows;
  std::vector<double> rms;  // of the matrix itself
  double live_cols = 0;
};
Result<RowFit> fit_rows_behind(RowReader& reader, MatrixScales& scales) {
  const std::vector<float> decoded = decode_all(scales.col_code, scales.col_codes);
  const std::vector<double> inverse_cols = inverses(std::vector<double>(decoded.begin(), decoded.end()));
  std::vector<uint8_t> live(scales.cols, 0);
  RowFit fit;
  fit.rows.resize(scales.rows);
  fit.rms.resize(scales.rows);
  LLMC_RETURN_IF_ERROR(for_each_row(reader, [&](size_t i, std::span<const float> row) {
    fit.rows[i] = scaled_sums(row, inverse_cols, 0);
    fit.rms[i] = unit_of(sum_up(0, row.size(), [&](size_t j) { return double{row[j]}; }), false).scale;
    for (size_t j = 0; j < row.size(); ++j) live[j] |= row[j] != 0;
  }));
  for (size_t j = 0; j < live.size(); ++j) {
    if (!live[j]) scales.col_codes[j] = 0;
    fit.live_cols += scales.col_codes[j] != 0;
  }
  return fit;
}

// The code nearest to `value` among those that carry the class; never 0.
uint8_t classed_code(const LogCode& code, double value, uint8_t column_class) {
  const int nearest = code.encode(value);
  const int above =
      (nearest - column_class + static_cast<int>(kColumnClasses)) % static_cast<int>(kColumnClasses);
  const int half = static_cast<int>(kColumnClasses) / 2;
  int chosen = nearest - above + (above > half ? static_cast<int>(kColumnClasses) : 0);
  while (chosen < 1) chosen += static_cast<int>(kColumnClasses);
  while (chosen > 255) chosen -= static_cast<int>(kColumnClasses);
  return static_cast<uint8_t>(chosen);
}

Status fit_dual(RowReader& reader, const ScaleOptions& options, MatrixScales& scales) {
  const bool given = !options.column_steps.empty();
  std::vector<double> cols(options.column_steps.begin(), options.column_steps.end());
  if (given) {
    normalise_geometric_mean(cols);
  } else {
    LLMC_ASSIGN_OR_RETURN(cols, dual_columns(reader, scales.asymmetric));
    if (options.column_exponent != 1) {
      for (double& c : cols) c = c > 0 ? portable_pow(c, options.column_exponent) : 0;
    }
  }
  const bool classed = !options.column_classes.empty();
  scales.col_code = fit_log_code(cols, classed ? kClassedPerOctave : options.per_octave);
  scales.col_codes = encode_all(scales.col_code, cols);
  for (size_t j = 0; classed && j < cols.size(); ++j) {
    scales.col_codes[j] = classed_code(scales.col_code, cols[j], options.column_classes[j]);
  }
  LLMC_ASSIGN_OR_RETURN(RowFit fit, fit_rows_behind(reader, scales));
  std::vector<Unit> units(scales.rows);
  for (size_t i = 0; i < units.size(); ++i) {
    fit.rows[i].count = fit.live_cols;
    units[i] = unit_of(fit.rows[i], scales.asymmetric);
  }
  const std::vector<Unit> fitted = units;
  shape(fit.rms, options.row_exponent, options.row_factors, units);
  code_units(units, options.per_octave, scales.row_code, scales.row_codes, scales);
  note_rms(fitted, fit.rms, scales);
  return Status::ok();
}

Status check_factors(const char* what, std::span<const float> factors, uint64_t count, bool allowed) {
  if (factors.empty()) return Status::ok();
  if (!allowed) return error(ErrorKind::kInvalidArgument, "{} given for scales that do not use them", what);
  if (factors.size() != count) {
    return error(ErrorKind::kInvalidArgument, "{} {} given where {} are needed", factors.size(), what, count);
  }
  for (size_t i = 0; i < factors.size(); ++i) {
    if (!std::isfinite(factors[i]) || factors[i] <= 0) {
      return error(ErrorKind::kInvalidArgument, "{} [{}] is {}: must be finite and positive", what, i,
                   factors[i]);
    }
  }
  return Status::ok();
}

Status check_classes(const ScaleOptions& options) {
  if (options.column_classes.empty()) return Status::ok();
  if (options.column_classes.size() != options.column_steps.size()) {
    return error(ErrorKind::kInvalidArgument, "{} column classes for {} column steps",
                 options.column_classes.size(), options.column_steps.size());
  }
  for (uint8_t column_class : options.column_classes) {
    if (column_class >= kColumnClasses) {
      return error(ErrorKind::kInvalidArgument, "column class {}: there are {}", column_class,
                   kColumnClasses);
    }
  }
  return Status::ok();
}

Status check_options(const RowReader& reader, const ScaleOptions& options) {
  const ScaleKind kind = options.spec.kind;
  if (reader.rows() == 0 || reader.cols() == 0) {
    return error(ErrorKind::kInvalidArgument, "no scales for a {} x {} matrix", reader.rows(), reader.cols());
  }
  if ((kind == ScaleKind::kGroup) != (options.spec.group_size > 0)) {
    return error(ErrorKind::kInvalidArgument, "group size {} does not fit the kind of scales",
                 options.spec.group_size);
  }
  if (!LogCode{1, options.per_octave}.is_valid() && options.per_octave != 1) {
    return error(ErrorKind::kInvalidArgument, "{} scale codes per octave: must be 2, 4, 8, 16 or 32",
                 options.per_octave);
  }
  const bool dual = kind == ScaleKind::kDual;
  LLMC_RETURN_IF_ERROR(
      check_factors("column steps", options.column_steps, reader.cols(), dual || kind == ScaleKind::kColumn));
  LLMC_RETURN_IF_ERROR(check_classes(options));
  for (double exponent : {options.row_exponent, options.column_exponent})
    if (!(exponent >= 0 && exponent <= 1))
      return error(ErrorKind::kInvalidArgument, "exponent {} of scales is not in [0, 1]", exponent);
  return check_factors("row factors", options.row_factors, reader.rows(), dual || kind == ScaleKind::kRow);
}

// Scales beyond float's range could only come from weights near its end.
Status check_range(const MatrixScales& scales) {
  const auto largest = [](const LogCode& code, const std::vector<uint8_t>& codes) {
    return codes.empty() ? 1.0f : code.decode(*std::max_element(codes.begin(), codes.end()));
  };
  const double product = double{largest(scales.row_code, scales.row_codes)} *
                         largest(scales.col_code, scales.col_codes) *
                         largest(scales.group_code, scales.group_codes) * scales.tensor_scale;
  if (product < double{std::numeric_limits<float>::max()}) return Status::ok();
  return error(ErrorKind::kInvalidArgument, "weights too large to scale: a step of {:g}", product);
}

}  // namespace

Result<MatrixScales> fit_scales(RowReader& matrix, const ScaleOptions& options, float* largest) {
  LLMC_RETURN_IF_ERROR(check_options(matrix, options));
  CheckedRows reader(matrix);
  MatrixScales scales;
  scales.spec = options.spec;
  scales.asymmetric = options.asymmetric;
  scales.rows = reader.rows();
  scales.cols = reader.cols();
  switch (options.spec.kind) {
    case ScaleKind::kTensor:
      LLMC_RETURN_IF_ERROR(fit_tensor(reader, scales));
      break;
    case ScaleKind::kRow:
      LLMC_RETURN_IF_ERROR(fit_rows(reader, options, scales));
      break;
    case ScaleKind::kColumn:
      LLMC_RETURN_IF_ERROR(fit_columns(reader, options, scales));
      break;
    case ScaleKind::kGroup:
      LLMC_RETURN_IF_ERROR(fit_groups(reader, options, scales));
      break;
    case ScaleKind::kDual:
      LLMC_RETURN_IF_ERROR(fit_dual(reader, options, scales));
      break;
  }
  LLMC_RETURN_IF_ERROR(check_range(scales));
  if (largest != nullptr) *largest = std::max(*largest, reader.largest());
  return scales;
}

}  // namespace llmcodec
