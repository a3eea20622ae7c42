// SPDX-License-Identifier: BSD-3-Clause
// From a target (bits per weight, bytes, SNR, step) to the step and quality of every tensor: a coarse search
// on few samples, then a correction or two on many (compress/rate_samples.h). The model is never coded whole
// unless it is small.
#pragma once

#include <vector>

#include "coding/codec_set.h"
#include "compress/archive_plan.h"
#include "compress/fitted_tensor.h"
#include "llmcodec/model.h"

namespace llmcodec {

// Everything is borrowed.
struct RateProblem {
  const TensorSource* source = nullptr;
  const InputMoments* moments = nullptr;
  CodecSet* codecs = nullptr;
  const std::vector<FittedTensor>* tensors = nullptr;
  const std::vector<double>* octaves = nullptr;  // step_octaves of every tensor of the source
  FixedBytes* fixed_bytes = nullptr;
  Target target;
  const Control* control = nullptr;
  // Up to so many weights, everything is coded at each step of the fine search. Strips would be half of it.
  uint64_t whole_weights = 8 << 20;
};

struct RateFound {
  std::vector<TensorSettings> settings;  // one per tensor of the source
  uint64_t predicted_bytes = 0;          // whole archive
  double predicted_snr_db = 0;
  double predicted_seconds = 0;  // of encoding
};

// InvalidArgument, with the reachable range, for a target out of reach. control->progress hears of phase
// "rate"; its total is an estimate.
Result<RateFound> find_steps(const RateProblem& problem);

// One step for all, the target, which must be of kind kStep: nothing is coded and nothing predicted. The tensors need not
// be fitted.
Result<std::vector<TensorSettings>> settings_at_step(const RateProblem& problem);

}  // namespace llmcodec
