// SPDX-License-Identifier: BSD-3-Clause
// One number for every codec: the logarithm of the quantiser step in units of u. Here it becomes what the
// codec takes: spectral, a step and a number of coefficients per block; spatial, a quality (QP) and the plane
// scale that makes up the difference, so that the rate is continuous.
#pragma once

#include <optional>

#include "llmcodec/codec.h"
#include "llmcodec/status.h"
#include "plan/tensor_plan.h"
#include "plane/layout.h"
#include "tensor/matrix_shape.h"

namespace llmcodec {

// Steps lie within 2^-40 and 2^40: far more than any codec makes use of, and far within the binary32 in which
// archives carry them.
inline constexpr double kMaxLog2Step = 40;
// InvalidArgument for a step outside, NaN included.
Status check_step(double step);

struct StepRange {
  double min = 0, max = 0;  // log2 step
  bool continuous = true;   // rate is continuous over the range; false: it jumps where the quality changes
};
StepRange step_range(const CodecInfo& codec, const TensorPlan& plan);

// What a tensor gets at a log2 step.
struct StepChoice {
  double log2_step = 0;  // of the model
  double octaves = 0;    // by which the tensor's own is coarser
  // Where the qualities of all tensors are taken from once they are fixed, so that the plane scale does all
  // the rest and the rate is continuous; absent: each tensor gets the quality nearest to its step.
  std::optional<double> base_log2_step;
};
PictureSettings settings_for(const StepChoice& choice, const TensorPlan& plan, const MatrixShape& shape,
                             const CodecInfo& codec);

// InvalidArgument where the codec does not take the quality of such settings, which a plan file may give.
Status check_quality(const PictureSettings& settings, const CodecInfo& codec);

// The inverse: a tensor's own log2 step, of settings that settings_for() made.
double log2_step_of(const PictureSettings& settings, const CodecInfo& codec);

// The plane scale at which all but one Gaussian weight in 26 million fit into the samples.
double nominal_step(uint32_t bit_depth);

}  // namespace llmcodec
