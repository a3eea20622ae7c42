// SPDX-License-Identifier: BSD-3-Clause
// From a target (bits per weight, bytes, SNR, step) to the step and quality of every tensor: a coarse search
// on few samples, then a correction or two on many (compress/rate_samples.h). The model is never coded whole
// unless it is small.
#pragma once

#include <functional>
#include <vector>

#include "coding/codec_set.h"
#include "compress/fitted_tensor.h"

namespace llmcodec {

struct RateSearch {
  const TensorSource* source = nullptr;
  const InputMoments* moments = nullptr;
  CodecSet* codecs = nullptr;
  std::vector<TensorJob>* jobs = nullptr;    // coded tensors, scales fitted
  std::vector<TensorPlan>* plans = nullptr;  // jobs point into it; step, quality, predictions are set here
  uint64_t parameters = 0;                   // of the whole model
  // Bytes of the archive besides streams and outliers, for the plans as they are: headers depend on them.
  std::function<Result<uint64_t>()> fixed_bytes;
  Target target;
  const Control* control = nullptr;
};

struct RateFound {
  uint64_t predicted_bytes = 0;  // whole archive
  double predicted_snr_db = 0;
  double predicted_seconds = 0;  // of encoding
};

// InvalidArgument, with the reachable range, for a target out of reach. control->progress hears of phase
// "rate"; its total is an estimate.
Result<RateFound> find_steps(RateSearch search);

}  // namespace llmcodec
