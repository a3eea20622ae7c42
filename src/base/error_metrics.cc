// SPDX-License-Identifier: BSD-3-Clause
#include "base/error_metrics.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/finite.h"
#include "base/wider_vectors.h"

namespace llmcodec {
namespace {

template <size_t n>
double sum(const std::array<double, n>& lanes) {
  double total = 0;
  for (const double lane : lanes) total += lane;
  return total;
}

// Eight lanes as one value, in as many registers as the processor needs for it (a GNU extension).
using Doubles [[gnu::vector_size(64)]] = double;
using Floats [[gnu::vector_size(32)]] = float;

}  // namespace

void ErrorMetrics::add_one(size_t lane, float original, float restored) {
  if (!std::isfinite(original) || !std::isfinite(restored)) {
    ++nonfinite_;
    return;
  }
  const double x = original, y = restored, e = x - y;
  signal_[lane] += x * x;
  restored_[lane] += y * y;
  product_[lane] += x * y;
  error_[lane] += e * e;
  max_abs_error_ = std::max(max_abs_error_, std::fabs(e));
}

// Whole groups of lanes, from lane 0 on, all values finite.
LLMC_WIDER_VECTORS
void ErrorMetrics::add_groups(std::span<const float> original, std::span<const float> restored) {
  Doubles signal, power, product, error, largest{};
  std::memcpy(&signal, signal_.data(), sizeof signal);
  std::memcpy(&power, restored_.data(), sizeof power);
  std::memcpy(&product, product_.data(), sizeof product);
  std::memcpy(&error, error_.data(), sizeof error);
  for (size_t i = 0; i < original.size(); i += kLanes) {
    Floats a, b;
    std::memcpy(&a, &original[i], sizeof a);
    std::memcpy(&b, &restored[i], sizeof b);
    const Doubles x = __builtin_convertvector(a, Doubles), y = __builtin_convertvector(b, Doubles), e = x - y;
    signal += x * x;
    power += y * y;
    product += x * y;
    error += e * e;
    const Doubles magnitude = e < 0 ? -e : e;
    largest = magnitude > largest ? magnitude : largest;
  }
  std::memcpy(signal_.data(), &signal, sizeof signal);
  std::memcpy(restored_.data(), &power, sizeof power);
  std::memcpy(product_.data(), &product, sizeof product);
  std::memcpy(error_.data(), &error, sizeof error);
  for (size_t k = 0; k < kLanes; ++k) max_abs_error_ = std::max(max_abs_error_, double{largest[k]});
  count_ += original.size();
}

void ErrorMetrics::add(std::span<const float> original, std::span<const float> restored) {
  assert(original.size() == restored.size());
  constexpr size_t kPiece = 64 * kLanes;
  while (!original.empty()) {
    const size_t lane = count_ % kLanes;
    const size_t whole = std::min(original.size() / kLanes * kLanes, kPiece);
    const bool groups =
        lane == 0 && whole > 0 && all_finite(original.first(whole)) && all_finite(restored.first(whole));
    const size_t taken = groups ? whole : std::min(original.size(), lane == 0 ? kPiece : kLanes - lane);
    if (groups) {
      add_groups(original.first(taken), restored.first(taken));
    } else {
      for (size_t i = 0; i < taken; ++i) add_one(count_++ % kLanes, original[i], restored[i]);
    }
    original = original.subspan(taken);
    restored = restored.subspan(taken);
  }
}

void ErrorMetrics::merge(const ErrorMetrics& other) {
  for (size_t lane = 0; lane < kLanes; ++lane) {
    signal_[lane] += other.signal_[lane];
    restored_[lane] += other.restored_[lane];
    product_[lane] += other.product_[lane];
    error_[lane] += other.error_[lane];
  }
  max_abs_error_ = std::max(max_abs_error_, other.max_abs_error_);
  count_ += other.count_;
  nonfinite_ += other.nonfinite_;
}

std::vector<double> ErrorMetrics::sums() const {
  std::vector<double> all;
  for (const Lanes* lanes : {&signal_, &restored_, &product_, &error_})
    all.insert(all.end(), lanes->begin(), lanes->end());
  all.push_back(static_cast<double>(count_));  // both counts are far below 2^53
  all.push_back(static_cast<double>(nonfinite_));
  all.push_back(max_abs_error_);
  return all;
}

std::optional<ErrorMetrics> ErrorMetrics::from_sums(std::span<const double> sums) {
  if (sums.size() != 4 * kLanes + 3) return std::nullopt;
  for (const double value : sums.last(3)) {
    if (!(value >= 0 && value < 0x1p63)) return std::nullopt;
  }
  ErrorMetrics metrics;
  for (Lanes* lanes : {&metrics.signal_, &metrics.restored_, &metrics.product_, &metrics.error_}) {
    std::ranges::copy(sums.first(kLanes), lanes->begin());
    sums = sums.subspan(kLanes);
  }
  metrics.count_ = static_cast<uint64_t>(sums[0]);
  metrics.nonfinite_ = static_cast<uint64_t>(sums[1]);
  metrics.max_abs_error_ = sums[2];
  return metrics;
}

double ErrorMetrics::signal_energy() const {
  return sum(signal_);
}
double ErrorMetrics::error_energy() const {
  return sum(error_);
}

double ErrorMetrics::relative_mse() const {
  const double signal = signal_energy(), noise = error_energy();
  if (noise == 0) return 0;
  return signal > 0 ? noise / signal : std::numeric_limits<double>::infinity();
}

double ErrorMetrics::snr_db() const {
  return -10 * std::log10(relative_mse());
}

double ErrorMetrics::mse() const {
  const uint64_t finite = count_ - nonfinite_;
  return finite > 0 ? error_energy() / static_cast<double>(finite) : 0;
}

double ErrorMetrics::cosine() const {
  const double a = signal_energy(), b = sum(restored_);
  if (a == 0 && b == 0) return 1;
  if (a == 0 || b == 0) return 0;
  return std::clamp(sum(product_) / std::sqrt(a * b), -1.0, 1.0);
}

double gap_db(double bpw, double snr_db) {
  constexpr double kDbPerBit = 6.020599913279624;  // 20 log10(2)
  return kDbPerBit * bpw - snr_db;
}

}  // namespace llmcodec
