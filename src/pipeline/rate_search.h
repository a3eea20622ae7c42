// SPDX-License-Identifier: BSD-3-Clause
// From a target (bits per weight, bytes, SNR, step) to the step and quality of every tensor: codes samples
// spread evenly over all weights of the model, at a few steps.
#pragma once

#include <vector>

#include "pipeline/codec_set.h"
#include "pipeline/tensor_job.h"

namespace llmcodec {

struct RateSearch {
  const TensorSource* source = nullptr;
  const InputMoments* moments = nullptr;
  CodecSet* codecs = nullptr;
  std::vector<TensorJob>* jobs = nullptr;    // coded tensors, scales fitted
  std::vector<TensorPlan>* plans = nullptr;  // jobs point into it; step, quality, predictions are set here
  uint64_t parameters = 0;                   // of the whole model
  uint64_t fixed_bytes = 0;                  // of the archive, whatever the step
  Target target;
  const Control* control = nullptr;
};

struct RateFound {
  uint64_t predicted_bytes = 0;  // whole archive
  double predicted_snr_db = 0;
  double seconds_per_weight = 0;  // of encoding, one thread
};

// InvalidArgument, with the reachable range, for a target out of reach.
Result<RateFound> find_steps(RateSearch search);

}  // namespace llmcodec
