// SPDX-License-Identifier: BSD-3-Clause
#include "quant/log_code.h"

#include <algorithm>
#include <cmath>

#include "quant/portable_math.h"

namespace llmcodec {
namespace {

constexpr int kMaxCode = 255;
constexpr int kMinBaseExponent = -126;  // the smallest normal float
constexpr int kMaxExponent = 127;

// Position of a positive value on the scale of `code`, in codes above its base.
double position(const LogCode& code, double value) {
  return (portable_log2(value) - portable_log2(code.base)) * code.per_octave;
}

}  // namespace

bool LogCode::is_valid() const {
  const bool power = per_octave >= 1 && per_octave <= 32 && (per_octave & (per_octave - 1)) == 0;
  return power && std::isfinite(base) && base > 0 && decode(1) > 0 && std::isfinite(decode(kMaxCode));
}

float LogCode::decode(uint8_t code) const {
  if (code == 0) return 0;
  const float mantissa = base * kLogCodeTable[code % per_octave * (32 / per_octave)];
  return std::ldexp(mantissa, static_cast<int>(code / per_octave));
}

uint8_t LogCode::encode(double value) const {
  if (!(value > 0)) return 0;
  return static_cast<uint8_t>(std::clamp(std::floor(position(*this, value) + 0.5), 1.0, double{kMaxCode}));
}

LogCode fit_log_code(std::span<const double> values, uint32_t per_octave) {
  double smallest = 0, largest = 0;
  for (double value : values) {
    if (!(value > 0)) continue;
    smallest = smallest == 0 ? value : std::min(smallest, value);
    largest = std::max(largest, value);
  }
  LogCode code{1, per_octave};
  if (largest == 0) return code;
  const double low = portable_log2(smallest), high = portable_log2(largest);
  // Two octaves of slack: the base is a power of two, and code 0 is taken.
  while (code.per_octave > 2 && (high - low + 2) * code.per_octave > kMaxCode) code.per_octave /= 2;
  const int octaves = kMaxCode / static_cast<int>(code.per_octave);
  const int wanted =
      std::max(static_cast<int>(std::floor(low)) - 1, static_cast<int>(std::ceil(high)) + 1 - octaves);
  const int base_exponent = std::clamp(wanted, kMinBaseExponent, kMaxExponent - octaves);
  code.base = std::ldexp(1.0f, base_exponent);
  return code;
}

std::vector<uint8_t> encode_all(const LogCode& code, std::span<const double> values) {
  std::vector<uint8_t> codes(values.size());
  std::transform(values.begin(), values.end(), codes.begin(), [&](double v) { return code.encode(v); });
  return codes;
}

std::vector<float> decode_all(const LogCode& code, std::span<const uint8_t> codes) {
  std::array<float, 256> table;
  for (int c = 0; c < 256; ++c) table[c] = code.decode(static_cast<uint8_t>(c));
  std::vector<float> values(codes.size());
  std::transform(codes.begin(), codes.end(), values.begin(), [&](uint8_t c) { return table[c]; });
  return values;
}

}  // namespace llmcodec
