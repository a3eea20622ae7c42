// SPDX-License-Identifier: BSD-3-Clause
#include "plan/codec_settings.h"

#include <algorithm>
#include <cmath>

#include "quant/portable_math.h"
#include "rate/gaussian_rate.h"
#include "vvc/spectral/spectral_format.h"

namespace llmcodec {
namespace {

// Planes hold +-5.5 deviations: a Gaussian weight in 26 million is clipped (and kept as an outlier), while
// more room would cost precision where the bit depth is small.
constexpr double kClipDeviations = 5.5;
// H.26x: the step of QP 4 is one sample (in a codec whose quality is not a QP, the search finds the
// constant).
constexpr double kUnitStepQuality = 4;

double nominal_log2_step(uint32_t bit_depth) {
  return portable_log2(2 * kClipDeviations) - static_cast<double>(bit_depth);
}

double octaves_of(double quality, const QualityRange& range) {
  return (quality - kUnitStepQuality) / range.per_octave;
}

double rounded(double quality, const QualityRange& range) {
  return std::clamp(std::round(quality / range.step) * range.step, range.min, range.max);
}

}  // namespace

double nominal_step(uint32_t bit_depth) {
  return portable_exp2(nominal_log2_step(bit_depth));
}

SpectralChoice spectral_choice(double log2_step, uint64_t rows) {
  const double bits = gaussian_bits(log2_step);
  return {vvc::spectral_outputs_for_rate(bits, rows), static_cast<double>(vvc::spectral_qp_for_rate(bits))};
}

StepRange step_range(const CodecInfo& codec, const TensorPlan& plan) {
  if (plan.layout == "spectral") return {-11, 2.5, true};
  const double nominal = nominal_log2_step(plan.bit_depth);
  if (codec.quality.lossless_only) return {nominal - 2, nominal + 8, true};
  return {nominal + octaves_of(codec.quality.min, codec.quality) - 1,
          nominal + octaves_of(codec.quality.max, codec.quality) + 1, codec.quality.fixed_rate};
}

double base_quality_for(double log2_step, const CodecInfo& codec, const TensorPlan& plan) {
  const double octaves = log2_step - nominal_log2_step(plan.bit_depth);
  return rounded(octaves * codec.quality.per_octave + kUnitStepQuality, codec.quality);
}

void choose_step(double log2_step, std::optional<double> base_quality, const CodecInfo& codec,
                 TensorPlan* plan) {
  const double own = log2_step + plan->step_octaves;
  if (plan->layout == "spectral") {
    plan->step = portable_exp2(own);
    const SpectralChoice choice = spectral_choice(own, plan->rows);
    plan->outputs_per_block = choice.outputs_per_block;
    plan->quality = choice.quality;
  } else if (codec.quality.lossless_only) {
    plan->step = portable_exp2(own);
  } else {
    plan->quality =
        base_quality ? rounded(*base_quality + plan->step_octaves * codec.quality.per_octave, codec.quality)
                     : base_quality_for(own, codec, *plan);
    plan->step = portable_exp2(own - octaves_of(plan->quality, codec.quality));
  }
  plan->step = static_cast<double>(static_cast<float>(plan->step));
}

}  // namespace llmcodec
