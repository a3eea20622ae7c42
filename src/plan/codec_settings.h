// SPDX-License-Identifier: BSD-3-Clause
// One number for every codec: the logarithm of the quantiser step in units of u. Here it becomes what the
// codec takes: spectral, a step and a number of coefficients per block; spatial, a quality (QP) and the plane
// scale that makes up the difference, so that the rate is continuous.
#pragma once

#include <optional>

#include "llmcodec/codec.h"
#include "plan/tensor_plan.h"

namespace llmcodec {

struct StepRange {
  double min = 0, max = 0;  // log2 step
  bool continuous = true;   // rate is continuous over the range; false: it jumps where the quality changes
};
StepRange step_range(const CodecInfo& codec, const TensorPlan& plan);

// Sets step, quality and outputs_per_block of `plan` for the model's log2 step. With `base_quality`, the
// quality stays there (moved by the tensor's step_octaves only) and the plane scale does all the rest.
void choose_step(double log2_step, std::optional<double> base_quality, const CodecInfo& codec,
                 TensorPlan* plan);

// The quality that keeps the plane scale nearest to its best value at a log2 step.
double base_quality_for(double log2_step, const CodecInfo& codec, const TensorPlan& plan);

// The plane scale at which all but one Gaussian weight in 26 million fit into the samples.
double nominal_step(uint32_t bit_depth);

// What suits unit-variance weights of a matrix with `rows` outputs at this log2 step.
struct SpectralChoice {
  uint32_t outputs_per_block;  // m
  double quality;              // slice QP: how large the coefficients stand in the picture, no matter of rate
};
SpectralChoice spectral_choice(double log2_step, uint64_t rows);

}  // namespace llmcodec
