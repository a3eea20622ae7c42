// SPDX-License-Identifier: BSD-3-Clause
// With the permuted H = R R^T, R upper triangular, and S = R^T: U = inverse(R), so that U_jj = 1 / S_jj, and L, whose
// blocks above the diagonal are R_ab inverse(R_bb), is one small triangular solve for each strip; no inverse is ever formed.
#include "quant/feedback.h"

#include <array>
#include <cmath>

#include "base/error.h"
#include "quant/portable_math.h"
#include "quant/subtract_product.h"

namespace llmcodec {
namespace {

constexpr size_t kBlock = 64;       // of the factorisation
constexpr size_t kBlockRows = 128;  // updated at once
// No pivot of damped moments is below the damping. Rounding may lift or lower one by this part of its diagonal; what is
// further below was not positive semidefinite.
constexpr double kRounding = 1e-4;
constexpr double kLeastDamping = 1e-7;  // where there is none, of a pivot's diagonal

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

// Rows of floats that lie no multiple of 4 KiB apart: columns would share a set of the cache.
class Triangle {
 public:
  explicit Triangle(size_t n) : n_(n), stride_(n + (n % 256 == 0 ? 16 : 0)), values_(n * stride_) {}
  MatrixView<float> view() { return {values_.data(), n_, n_, stride_}; }
  std::vector<float> take_values() && { return std::move(values_); }
  size_t stride() const { return stride_; }

 private:
  size_t n_, stride_;
  std::vector<float> values_;
};

// The shrunk, damped, permuted moments, lower triangle with diagonal, scaled to a mean diagonal of 1.
Triangle permuted(MatrixView<const float> moments, std::span<const uint32_t> order,
                  const FeedbackOptions& options) {
  const size_t n = order.size();
  double trace = 0;
  for (size_t i = 0; i < n; ++i) trace += moments.at(i, i);
  const double scale = static_cast<double>(n) / trace;
  const auto off_diagonal = static_cast<float>(scale * (1 - options.shrinkage));
  Triangle triangle(n);
  const MatrixView<float> h = triangle.view();
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < i; ++j) {
      const auto [low, high] = std::minmax(order[i], order[j]);
      h.at(i, j) = moments.at(low, high) * off_diagonal;
    }
    h.at(i, i) = static_cast<float>(moments.at(order[i], order[i]) * scale + options.damping);
  }
  return triangle;
}

// h (lower triangle) = S^T S, S lower triangular, in place. From the last row up, so that every update runs along rows.
// Values above the diagonal become garbage.
Status factor(MatrixView<float> s, std::span<const uint32_t> order, double damping) {
  const size_t n = order.size();
  std::vector<float> diagonal(n);
  for (size_t i = 0; i < n; ++i) diagonal[i] = s.at(i, i);
  for (size_t end = n; end > 0;) {
    const size_t begin = end > kBlock ? end - kBlock : 0;
    for (size_t p = end; p-- > begin;) {
      const double least = std::max(damping, kLeastDamping * diagonal[p]);
      if (!(s.at(p, p) > damping - kRounding * diagonal[p]))
        return bad(fmt::format("not positive definite at column {}", order[p]));
      const auto pivot = static_cast<float>(std::sqrt(std::max<double>(s.at(p, p), least)));
      for (size_t j = 0; j < p; ++j) s.at(p, j) /= pivot;
      s.at(p, p) = pivot;
      if (p == begin) break;
      subtract_product(s.block(begin, 0, p - begin, p), {&s.at(p, begin), 1, s.stride}, s.block(p, 0, 1, p));
    }
    for (size_t first = 0; first < begin; first += kBlockRows) {
      const size_t rows = std::min(kBlockRows, begin - first);
      subtract_product(s.block(first, 0, rows, first + rows), {&s.at(begin, first), 1, s.stride},
                       s.block(begin, 0, end - begin, first + rows));
    }
    end = begin;
  }
  return Status::ok();
}

// S of the permuted H.
Result<Triangle> lower_factor(MatrixView<const float> moments, std::span<const uint32_t> order,
                              const FeedbackOptions& options) {
  LLMC_RETURN_IF_ERROR(check_moments(moments));
  LLMC_RETURN_IF_ERROR(check_order(order, moments.cols));
  Triangle triangle = permuted(moments, order, options);
  LLMC_RETURN_IF_ERROR(factor(triangle.view(), order, options.damping));
  return triangle;
}

// Rows [begin, end) of S, left of the diagonal block D that they have in it, become -inverse(D) times themselves.
void solve_strip(MatrixView<float> s, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    const MatrixView<float> row = s.block(i, 0, 1, begin);
    subtract_product(row, {&s.at(i, begin), s.stride, 1}, s.block(begin, 0, i - begin, begin));
    for (float& value : row.row(0)) value /= s.at(i, i);
  }
  for (size_t i = begin; i < end; ++i)
    for (float& value : s.block(i, 0, 1, begin).row(0)) value = -value;
}

// Octaves of a damped diagonal entry over the geometric mean from which on a column belongs to class 0, 1,
// ... 6; the rest is class 7. Few columns are far out, and these must come first.
constexpr std::array<double, kColumnClasses - 1> kClassBounds = {5, 4, 3, 2, 1, 0.25, -0.5};

std::vector<uint8_t> diagonal_classes(MatrixView<const float> moments, double damping) {
  const size_t n = moments.rows;
  double trace = 0, log_sum = 0;
  for (size_t i = 0; i < n; ++i) trace += moments.at(i, i);
  const double floor = std::max(damping, kLeastDamping) * trace / static_cast<double>(n);
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
  LLMC_ASSIGN_OR_RETURN(Triangle triangle, lower_factor(moments, order, options));
  const MatrixView<float> s = triangle.view();
  const size_t n = order.size();
  double log_sum = 0;
  for (size_t i = 0; i < n; ++i) log_sum += portable_log2(s.at(i, i));
  const double mean = portable_exp2(log_sum / static_cast<double>(n));
  columns.steps.resize(n);
  for (size_t i = 0; i < n; ++i) columns.steps[order[i]] = static_cast<float>(mean / s.at(i, i));
  return columns;
}

Result<Feedback> Feedback::create(MatrixView<const float> moments, std::span<const uint32_t> order,
                                  const FeedbackOptions& options) {
  if (options.strip == 0) return error(ErrorKind::kInvalidArgument, "a feedback strip of 0 columns");
  LLMC_ASSIGN_OR_RETURN(Triangle triangle, lower_factor(moments, order, options));
  Feedback feedback;
  feedback.cols_ = order.size();
  feedback.strip_ = options.strip;
  for (size_t b = 1; b < feedback.strips(); ++b)
    solve_strip(triangle.view(), feedback.strip_begin(b), feedback.strip_begin(b + 1));
  feedback.stride_ = triangle.stride();
  feedback.gains_ = std::move(triangle).take_values();
  return feedback;
}

void Feedback::correct(size_t index, MatrixView<const float> errors, MatrixView<float> strip) const {
  if (index == 0 || strip.cols == 0) return;
  subtract_product(strip, {gains_.data() + strip_begin(index) * stride_, stride_, 1}, errors);
}

}  // namespace llmcodec
