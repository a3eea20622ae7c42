// SPDX-License-Identifier: BSD-3-Clause
// With the permuted H = R R^T, R upper triangular, U = inverse(R): so U_jj = 1 / R_jj, and the gain of strip
// b, inverse(U_bb) U_b,rest = -R_b,rest inverse(R_rest), is one triangular solve; no inverse is ever formed.
#include "quant/feedback.h"

#include <array>
#include <cmath>

#include "base/error.h"
#include "quant/portable_math.h"
#include "quant/subtract_product.h"

namespace llmcodec {
namespace {

constexpr size_t kBlock = 32;  // of the factorisation and the solves
// A pivot below this part of its diagonal is rounding noise: the matrix is not positive definite.
constexpr double kSmallestPivot = 1e-12;

Error bad(const std::string& what) {
  return error(ErrorKind::kInvalidArgument, "second moments: {}", what);
}

Status check_moments(MatrixView<const float> moments) {
  if (moments.rows != moments.cols || moments.rows == 0) {
    return bad(fmt::format("{} x {} is not a square matrix", moments.rows, moments.cols));
  }
  double trace = 0;
  for (size_t i = 0; i < moments.rows; ++i) {
    for (size_t j = i; j < moments.cols; ++j) {
      if (!std::isfinite(moments.at(i, j))) return bad(fmt::format("[{}, {}] is not finite", i, j));
    }
    if (moments.at(i, i) < 0) return bad(fmt::format("[{}, {}] is {}: negative", i, i, moments.at(i, i)));
    trace += moments.at(i, i);
  }
  if (!(trace > 0)) return bad("the diagonal is zero");
  return Status::ok();
}

Status check_order(std::span<const uint32_t> order, size_t cols) {
  std::vector<bool> seen(cols, false);
  for (uint32_t column : order) {
    if (column >= cols || seen[column])
      return bad(fmt::format("the order is no permutation of {} columns", cols));
    seen[column] = true;
  }
  if (order.size() != cols) return bad(fmt::format("an order of {} for {} columns", order.size(), cols));
  return Status::ok();
}

// The shrunk, damped, permuted moments, lower triangle with diagonal, scaled to a mean diagonal of 1.
std::vector<double> permuted(MatrixView<const float> moments, std::span<const uint32_t> order,
                             const FeedbackOptions& options) {
  const size_t n = order.size();
  double trace = 0;
  for (size_t i = 0; i < n; ++i) trace += moments.at(i, i);
  const double scale = static_cast<double>(n) / trace;
  std::vector<double> h(n * n, 0);
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      const auto [low, high] = std::minmax(order[i], order[j]);
      h[i * n + j] = moments.at(low, high) * scale * (i == j ? 1 : 1 - options.shrinkage);
    }
    h[i * n + i] += options.damping;
  }
  return h;
}

// h (lower triangle) = S^T S, S lower triangular, in place; S^T is R. From the last row up, so that every
// update runs along rows. Values above the diagonal become garbage.
Status factor(std::vector<double>& h, std::span<const uint32_t> order) {
  const size_t n = order.size();
  const MatrixView<double> s(h.data(), n, n);
  std::vector<double> diagonal(n);
  for (size_t i = 0; i < n; ++i) diagonal[i] = s.at(i, i);
  for (size_t end = n; end > 0;) {
    const size_t begin = end > kBlock ? end - kBlock : 0;
    for (size_t p = end; p-- > begin;) {
      if (!(s.at(p, p) > kSmallestPivot * diagonal[p])) {
        return bad(fmt::format("not positive definite at column {}", order[p]));
      }
      const double pivot = std::sqrt(s.at(p, p));
      for (size_t j = 0; j < p; ++j) s.at(p, j) /= pivot;
      s.at(p, p) = pivot;
      if (p == begin) break;
      subtract_product(s.block(begin, 0, p - begin, p), {&s.at(p, begin), 1, n}, s.block(p, 0, 1, p));
    }
    for (size_t first = 0; first < begin; first += kBlock) {
      const size_t rows = std::min(kBlock, begin - first);
      subtract_product(s.block(first, 0, rows, first + rows), {&s.at(begin, first), 1, n},
                       s.block(begin, 0, end - begin, first + rows));
    }
    end = begin;
  }
  return Status::ok();
}

// R, upper triangular, of the permuted H.
Result<std::vector<double>> upper_factor(MatrixView<const float> moments, std::span<const uint32_t> order,
                                         const FeedbackOptions& options) {
  LLMC_RETURN_IF_ERROR(check_moments(moments));
  LLMC_RETURN_IF_ERROR(check_order(order, moments.cols));
  std::vector<double> r = permuted(moments, order, options);
  LLMC_RETURN_IF_ERROR(factor(r, order));
  const size_t n = order.size();
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < i; ++j) {
      r[j * n + i] = r[i * n + j];
      r[i * n + j] = 0;
    }
  }
  return r;
}

// x (rows x m) := the solution X of X R_rest = x, R_rest upper triangular m x m.
void solve_from_right(MatrixView<double> x, MatrixView<const double> rest) {
  const size_t m = rest.rows;
  for (size_t begin = 0; begin < m; begin += kBlock) {
    const size_t end = std::min(begin + kBlock, m);
    for (size_t i = begin; i < end; ++i) {
      for (size_t r = 0; r < x.rows; ++r) x.at(r, i) /= rest.at(i, i);
      subtract_product(x.block(0, i + 1, x.rows, end - i - 1), {&x.at(0, i), x.stride, 1},
                       rest.block(i, i + 1, 1, end - i - 1));
    }
    if (end == m) break;
    subtract_product(x.block(0, end, x.rows, m - end), {&x.at(0, begin), x.stride, 1},
                     rest.block(begin, end, end - begin, m - end));
  }
}

// Octaves of a damped diagonal entry over the geometric mean from which on a column belongs to class 0, 1,
// ... 6; the rest is class 7. Few columns are far out, and these must come first.
constexpr std::array<double, kColumnClasses - 1> kClassBounds = {5, 4, 3, 2, 1, 0.25, -0.5};

std::vector<uint8_t> diagonal_classes(MatrixView<const float> moments, double damping) {
  const size_t n = moments.rows;
  double trace = 0, log_sum = 0;
  for (size_t i = 0; i < n; ++i) trace += moments.at(i, i);
  const double floor = std::max(damping, kSmallestPivot) * trace / static_cast<double>(n);
  std::vector<double> logs(n);
  for (size_t i = 0; i < n; ++i) {
    logs[i] = portable_log2(moments.at(i, i) + floor);
    log_sum += logs[i];
  }
  const double mean = log_sum / static_cast<double>(n);
  std::vector<uint8_t> classes(n);
  for (size_t i = 0; i < n; ++i) {
    classes[i] = static_cast<uint8_t>(std::count_if(kClassBounds.begin(), kClassBounds.end(),
                                                    [&](double bound) { return logs[i] - mean < bound; }));
  }
  return classes;
}

}  // namespace

Result<ClosedLoopColumns> closed_loop_columns(MatrixView<const float> moments,
                                              const FeedbackOptions& options) {
  LLMC_RETURN_IF_ERROR(check_moments(moments));
  ClosedLoopColumns columns;
  columns.classes = diagonal_classes(moments, options.damping);
  const std::vector<uint32_t> order = class_order(columns.classes);
  LLMC_ASSIGN_OR_RETURN(const std::vector<double> r, upper_factor(moments, order, options));
  const size_t n = order.size();
  double log_sum = 0;
  for (size_t i = 0; i < n; ++i) log_sum += portable_log2(r[i * n + i]);
  const double mean = portable_exp2(log_sum / static_cast<double>(n));
  columns.steps.resize(n);
  for (size_t i = 0; i < n; ++i) columns.steps[order[i]] = static_cast<float>(mean / r[i * n + i]);
  return columns;
}

Result<Feedback> Feedback::create(MatrixView<const float> moments, std::span<const uint32_t> order,
                                  const FeedbackOptions& options) {
  if (options.strip == 0) return error(ErrorKind::kInvalidArgument, "a feedback strip of 0 columns");
  LLMC_ASSIGN_OR_RETURN(std::vector<double> factor_values, upper_factor(moments, order, options));
  const size_t n = order.size();
  const MatrixView<double> r(factor_values.data(), n, n);
  Feedback feedback;
  feedback.cols_ = n;
  feedback.strip_ = options.strip;
  feedback.gains_.assign(n * n, 0);
  std::vector<double> gain(options.strip * n);
  for (size_t b = 0; b < feedback.strips(); ++b) {
    const size_t begin = feedback.strip_begin(b), end = feedback.strip_begin(b + 1), m = n - end;
    if (m == 0) break;
    const MatrixView<double> x(gain.data(), end - begin, m);
    for (size_t row = begin; row < end; ++row) {
      for (size_t j = end; j < n; ++j) x.at(row - begin, j - end) = -r.at(row, j);
    }
    solve_from_right(x, r.block(end, end, m, m));
    for (size_t row = begin; row < end; ++row) {
      const auto source = x.row(row - begin);
      std::transform(source.begin(), source.end(),
                     feedback.gains_.begin() + static_cast<ptrdiff_t>(row * n + end),
                     [](double v) { return static_cast<float>(v); });
    }
  }
  return feedback;
}

void Feedback::correct(size_t index, MatrixView<const float> error, MatrixView<float> rest) const {
  const size_t begin = strip_begin(index), end = strip_begin(index + 1);
  if (end == cols_ || rest.rows == 0) return;
  const MatrixView<const float> gain(gains_.data() + begin * cols_ + end, end - begin, cols_ - end, cols_);
  subtract_product(rest, {error.data, error.stride, 1}, gain);
}

}  // namespace llmcodec
