// SPDX-License-Identifier: BSD-3-Clause
#include "plan/codec_settings.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "plane/fold.h"
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

// The quality that keeps the plane scale nearest to its best value at a log2 step.
double quality_for(double log2_step, uint32_t bit_depth, const QualityRange& range) {
  const double octaves = log2_step - nominal_log2_step(bit_depth);
  return rounded(octaves * range.per_octave + kUnitStepQuality, range);
}

uint64_t laid_out_rows(const TensorPlan& plan, const MatrixShape& shape) {
  if (plan.lines == Lines::kNone) return shape.rows;
  return Fold::make(plan.lines, shape.rows, shape.cols).pieces();
}

}  // namespace

Status check_step(double step) {
  const double most = portable_exp2(kMaxLog2Step), least = 1 / most;
  if (step >= least && step <= most) return Status::ok();
  return error(ErrorKind::kInvalidArgument, "a quantiser step of {:.4g}: must be from {:.4g} to {:.4g}", step,
               least, most);
}

double nominal_step(uint32_t bit_depth) {
  return portable_exp2(nominal_log2_step(bit_depth));
}

StepRange step_range(const CodecInfo& codec, const TensorPlan& plan) {
  if (plan.layout == Layout::kSpectral) return {-11, 2.5, true};
  const double nominal = nominal_log2_step(plan.bit_depth);
  if (codec.quality.lossless_only) return {nominal - 2, nominal + 8, true};
  return {nominal + octaves_of(codec.quality.min, codec.quality) - 1,
          nominal + octaves_of(codec.quality.max, codec.quality) + 1, codec.quality.fixed_rate};
}

PictureSettings settings_for(const StepChoice& choice, const TensorPlan& plan, const MatrixShape& shape,
                             const CodecInfo& codec) {
  const QualityRange& range = codec.quality;
  PictureSettings settings{.layout = plan.layout, .bit_depth = plan.bit_depth, .lines = plan.lines};
  const double own = choice.log2_step + choice.octaves;
  double plane_log2_step = own;
  if (plan.layout == Layout::kSpectral) {
    const double bits = gaussian_bits(own);
    settings.outputs_per_block = vvc::spectral_outputs_for_rate(bits, laid_out_rows(plan, shape));
    settings.quality = static_cast<double>(vvc::spectral_qp_for_rate(bits));
  } else if (!range.lossless_only) {
    settings.quality = choice.base_log2_step
                           ? rounded(quality_for(*choice.base_log2_step, plan.bit_depth, range) +
                                         choice.octaves * range.per_octave,
                                     range)
                           : quality_for(own, plan.bit_depth, range);
    plane_log2_step = own - octaves_of(settings.quality, range);
  }
  settings.step = static_cast<double>(static_cast<float>(portable_exp2(plane_log2_step)));
  return settings;
}

Status check_quality(const PictureSettings& settings, const CodecInfo& codec) {
  QualityRange range = codec.quality;
  if (settings.layout == Layout::kSpectral)  // a QP of H.266
    range = {.min = -6.0 * (static_cast<double>(settings.bit_depth) - 8), .max = 63};
  if (range.lossless_only) return Status::ok();
  const double steps = (settings.quality - range.min) / range.step;
  if (settings.quality >= range.min && settings.quality <= range.max &&
      std::abs(steps - std::round(steps)) < 1e-6)
    return Status::ok();
  return error(ErrorKind::kInvalidArgument,
               "codec '{}' takes qualities from {} to {} in steps of {} here, not {}", codec.name, range.min,
               range.max, range.step, settings.quality);
}

double log2_step_of(const PictureSettings& settings, const CodecInfo& codec) {
  const double step = portable_log2(settings.step);
  const bool by_quality = settings.layout == Layout::kSpatial && !codec.quality.lossless_only;
  return by_quality ? step + octaves_of(settings.quality, codec.quality) : step;
}

}  // namespace llmcodec
