// SPDX-License-Identifier: BSD-3-Clause
#include "estimate/attention_vectors.h"

#include <algorithm>
#include <numbers>

#include "base/ordered_run.h"
#include "quant/portable_math.h"
#include "quant/subtract_product.h"

namespace llmcodec {
namespace {

constexpr size_t kSequences = kEstimateTokens / kContext;

struct Angle {
  double cosine = 1, sine = 0;
};

// Of an angle of at most 1, by its series.
Angle angle_of(double radians) {
  Angle angle{0, 0};
  double term = 1;
  for (int n = 0; n < 20; ++n) {
    double& sum = n % 2 == 0 ? angle.cosine : angle.sine;
    sum += n % 4 < 2 ? term : -term;
    term *= radians / (n + 1);
  }
  return angle;
}

// [pairs][kContext]
std::vector<Angle> angles_of(const Turning& turning) {
  std::vector<Angle> angles;
  const double octaves = portable_log2(turning.base);
  for (uint64_t p = 0; p < turning.rotated / 2; ++p) {
    const double share = 2 * static_cast<double>(p) / static_cast<double>(turning.rotated);
    const Angle step = angle_of(portable_exp2(std::max(-900.0, -share * octaves)));
    Angle angle;
    for (size_t t = 0; t < kContext; ++t) {
      angles.push_back(angle);
      angle = {angle.cosine * step.cosine - angle.sine * step.sine,
               angle.sine * step.cosine + angle.cosine * step.sine};
    }
  }
  return angles;
}

template <class T>
MatrixView<T> part_of(MatrixView<T> all, uint64_t head, uint64_t width, size_t sequence) {
  return all.block(head * width, sequence * kContext, width, kContext);
}

// Read as it lies, or transposed.
Coefficients rows_of(MatrixView<const float> view) {
  return {view.data, view.stride, 1};
}
Coefficients columns_of(MatrixView<const float> view) {
  return {view.data, 1, view.stride};
}

using Square = OwnedMatrix<float>;  // kContext x kContext
Square square() {
  return {kContext, kContext, kContext + 16};
}

Square transposed(const Square& from) {
  Square to = square();
  for (size_t i = 0; i < kContext; ++i)
    for (size_t j = 0; j < kContext; ++j) to.view().at(j, i) = from.view().at(i, j);
  return to;
}

// Minus the share of token i's attention that token j has.
Square negative_shares(const HeadShape& shape, uint64_t head, MatrixView<const float> query,
                       MatrixView<const float> key) {
  Square scores = square();
  subtract_product(scores.view(), columns_of(query), key);  // minus the scores
  for (size_t i = 0; i < kContext; ++i) {
    const std::span<float> row = scores.view().row(i);
    const size_t seen = shape.looks_ahead ? kContext : i + 1;
    double best = shape.sinks.empty() ? -1e30 : double{shape.sinks[head]};
    for (size_t j = 0; j < seen; ++j) best = std::max(best, -shape.score_factor * row[j]);
    const auto power = [&](double score) {
      return portable_exp2(std::max(-100.0, (score - best) * std::numbers::log2e));
    };
    double sum = shape.sinks.empty() ? 0 : power(shape.sinks[head]);
    for (size_t j = 0; j < seen; ++j) {
      const double share = power(-shape.score_factor * row[j]);
      sum += share;
      row[j] = static_cast<float>(share);
    }
    for (size_t j = 0; j < seen; ++j) row[j] = static_cast<float>(-row[j] / sum);
    std::fill(row.begin() + static_cast<std::ptrdiff_t>(seen), row.end(), 0.0F);
  }
  return scores;
}

// From minus the shares and minus the gradients by them, minus the gradients by the scores before their factor.
void through_softmax(const Square& shares, double factor, Square* gradients) {
  for (size_t i = 0; i < kContext; ++i) {
    const std::span<const float> share = shares.view().row(i);
    const std::span<float> row = gradients->view().row(i);
    double mean = 0;
    for (size_t j = 0; j < kContext; ++j) mean += double{share[j]} * row[j];
    for (size_t j = 0; j < kContext; ++j) row[j] = static_cast<float>(-factor * share[j] * (row[j] + mean));
  }
}

}  // namespace

void turn(const Turning& turning, bool back, Vectors* vectors) {
  if (turning.rotation == Rotation::kNone || turning.rotated < 2) return;
  const std::vector<Angle> angles = angles_of(turning);
  const bool halves = turning.rotation == Rotation::kHalves;
  for (size_t head = 0; head < vectors->rows(); head += turning.head_width) {
    for (size_t p = 0; p < turning.rotated / 2; ++p) {
      const std::span<float> a = vectors->view().row(head + (halves ? p : 2 * p));
      const std::span<float> b = vectors->view().row(head + (halves ? p + turning.rotated / 2 : 2 * p + 1));
      for (size_t n = 0; n < a.size(); ++n) {
        const Angle& angle = angles[p * kContext + n % kContext];
        const auto c = static_cast<float>(angle.cosine),
                   s = static_cast<float>(back ? -angle.sine : angle.sine);
        const float x = a[n], y = b[n];
        a[n] = x * c - y * s;
        b[n] = x * s + y * c;
      }
    }
  }
}

Vectors attend(const HeadShape& shape, const Vectors& query, const Vectors& key, const Vectors& value,
               unsigned threads) {
  Vectors out(shape.heads * shape.width);
  static_cast<void>(for_all(threads, shape.heads * kSequences, [&](size_t task) {
    const size_t head = task / kSequences, sequence = task % kSequences;
    const size_t shared = head * shape.kv_heads / shape.heads;
    const auto part = [&](MatrixView<const float> view, uint64_t h) {
      return part_of(view, h, shape.width, sequence);
    };
    const Square shares =
        transposed(negative_shares(shape, head, part(query.view(), head), part(key.view(), shared)));
    subtract_product(part_of(out.view(), head, shape.width, sequence), rows_of(part(value.view(), shared)),
                     shares.view());
    return Status::ok();
  }));
  return out;
}

AttentionGradients through_attention(const HeadShape& shape, const AttentionGradients& inputs,
                                     const Vectors& gradients, unsigned threads) {
  AttentionGradients out{Vectors(inputs.query.rows()), Vectors(inputs.key.rows()),
                         Vectors(inputs.value.rows())};
  const uint64_t group = shape.heads / shape.kv_heads;
  static_cast<void>(for_all(threads, shape.kv_heads * kSequences, [&](size_t task) {
    const size_t shared = task / kSequences, sequence = task % kSequences;
    const auto part = [&](auto view, uint64_t h) { return part_of(view, h, shape.width, sequence); };
    const MatrixView<const float> key = part(inputs.key.view(), shared),
                                  value = part(inputs.value.view(), shared);
    for (uint64_t head = shared * group; head < (shared + 1) * group; ++head) {
      const MatrixView<const float> query = part(inputs.query.view(), head),
                                    given = part(gradients.view(), head);
      const Square shares = negative_shares(shape, head, query, key);
      Square scores = square();
      subtract_product(scores.view(), columns_of(given), value);
      through_softmax(shares, shape.score_factor, &scores);
      subtract_product(part(out.value.view(), shared), rows_of(given), shares.view());
      const Square across = transposed(scores);
      subtract_product(part(out.query.view(), head), rows_of(key), across.view());
      subtract_product(part(out.key.view(), shared), rows_of(query), scores.view());
    }
    return Status::ok();
  }));
  return out;
}

}  // namespace llmcodec
