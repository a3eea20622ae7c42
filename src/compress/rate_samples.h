// SPDX-License-Identifier: BSD-3-Clause
// What an archive would come to at given steps: codes parts of the model and extrapolates. A small model is
// coded whole, in the very segments of the archive; of a large one, strips of rows spread evenly over all
// weights.
//
// Example (const RateProblem& problem, std::vector<TensorSettings> settings):
//
//   RateSamples samples(problem, SampleDensity::kFine);
//   const auto progress = [](uint64_t weights) { use(weights); };
//   LLMC_ASSIGN_OR_RETURN(const RateEstimate estimate, samples.evaluate(&settings, progress));
#pragma once

#include <functional>
#include <map>
#include <span>
#include <vector>

#include "base/error_metrics.h"
#include "compress/feedback_cache.h"
#include "compress/rate_search.h"
#include "compress/segment_run.h"

namespace llmcodec {

struct RateEstimate {
  double bytes = 0;  // of the whole archive
  ErrorMetrics metrics;
  double seconds_per_weight = 0;            // of encoding, one thread
  std::vector<uint64_t> tensor_bytes;       // per tensor, scales left out; their sum is what `bytes` counts
  std::vector<ErrorMetrics> tensor_errors;  // per tensor; empty where nothing was sampled
};

enum class SampleDensity { kCoarse, kFine };

class RateSamples {
 public:
  RateSamples(const RateProblem& problem, SampleDensity density);

  // At these settings, into which it writes predicted_bytes. `progress` is told the weights of every piece
  // coded.
  Result<RateEstimate> evaluate(std::vector<TensorSettings>* settings,
                                const std::function<void(uint64_t)>& progress);
  uint64_t weights() const { return weights_; }  // coded per evaluation
  bool is_whole() const { return whole_; }       // the very segments of the archive, all of them

 private:
  struct Strip {
    size_t tensor = 0;
    uint64_t matrix = 0, first_row = 0, rows = 0;
  };
  // What the samples of one tensor, or of all, came to.
  struct Totals {
    double weights = 0;
    double bytes = 0;  // without what a stream takes before its first weight
    double seconds = 0;
    ErrorMetrics metrics;
  };
  // What extrapolation needs to know of a tensor.
  struct TensorFacts {
    double overhead = 0;  // bytes of a stream that are not there for its weights; 0 when everything is coded
    double outlier_bytes = 0;
    uint64_t streams = 0;  // in the archive
  };
  void spread_strips(uint64_t count, uint64_t strip_weights);
  Result<std::vector<SegmentTask>> pieces(const Strip& strip, const PictureSettings& settings) const;
  Result<double> overhead(const FittedTensor& tensor, PictureSettings settings);
  Result<std::vector<TensorFacts>> facts(const std::vector<TensorSettings>& settings);
  Result<std::vector<Totals>> code(const std::vector<TensorSettings>& settings,
                                   const std::vector<TensorFacts>& facts,
                                   const std::function<void(uint64_t)>& progress);
  std::vector<double> exact_bytes_of(const std::vector<Totals>& own) const;
  std::vector<double> spread_bytes(const std::vector<Totals>& own, const std::vector<TensorFacts>& facts,
                                   const std::vector<TensorSettings>& settings) const;

  const RateProblem& problem_;
  const std::vector<FittedTensor>& tensors_;
  FeedbackCache feedback_;
  bool whole_ = false;
  std::vector<Strip> strips_;
  uint64_t weights_ = 0;
  std::map<std::string, double> overheads_;  // bytes of a stream that are not there for its weights
};

// Time to encode all tensors with `threads` threads.
double predicted_seconds(const std::vector<FittedTensor>& tensors, double seconds_per_weight,
                         unsigned threads);

}  // namespace llmcodec
