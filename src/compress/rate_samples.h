// SPDX-License-Identifier: BSD-3-Clause
// What an archive would come to at given steps: codes parts of the model and extrapolates. A small model is
// coded whole, in the very segments of the archive; of a large one, strips of rows spread evenly over all
// weights.
//
//   RateSamples samples(search, SampleDensity::kFine);
//   choose steps in *search.plans ...
//   LLMC_ASSIGN_OR_RETURN(RateEstimate estimate, samples.evaluate());
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "compress/rate_search.h"

namespace llmcodec {

struct RateEstimate {
  double bytes = 0;  // of the whole archive
  ErrorMetrics metrics;
  double seconds_per_weight = 0;            // of encoding, one thread
  std::vector<uint64_t> tensor_bytes;       // per job, scales left out; their sum is what `bytes` counts
  std::vector<ErrorMetrics> tensor_errors;  // per job; empty where nothing was sampled
};

enum class SampleDensity { kCoarse, kFine };

class RateSamples {
 public:
  RateSamples(const RateSearch& search, SampleDensity density);

  // With the steps that stand in *search.plans. `progress` is told the weights of every piece coded.
  Result<RateEstimate> evaluate(const std::function<void(uint64_t)>& progress);
  uint64_t weights() const { return weights_; }  // coded per evaluation
  bool is_whole() const { return whole_; }       // the very segments of the archive, all of them

 private:
  struct Strip {
    size_t job = 0;
    uint64_t matrix = 0, first_row = 0, rows = 0;
  };
  void spread_strips(uint64_t count, uint64_t strip_weights);
  struct Piece;     // one segment to code
  struct Totals;    // of some pieces
  struct JobFacts;  // what extrapolation needs to know of a tensor
  Status add_pieces(const Strip& strip, std::vector<Piece>* pieces) const;
  size_t group_size(std::span<const Piece> pieces, size_t enough) const;
  Status code(std::span<Piece> group);
  Result<const Feedback*> feedback(const TensorJob& job, uint64_t matrix, std::unique_ptr<Feedback>* own);
  Result<double> overhead(const TensorJob& job, const Codec* codec);
  Result<std::vector<JobFacts>> facts();
  Result<RateEstimate> extrapolate(const std::vector<Piece>& pieces);
  std::vector<double> exact_bytes_of(const std::vector<Totals>& own) const;
  std::vector<double> spread_bytes(const std::vector<Totals>& own, const std::vector<JobFacts>& facts) const;

  const RateSearch& search_;
  bool whole_ = false;
  std::vector<Strip> strips_;
  uint64_t weights_ = 0;
  std::map<std::string, double> overheads_;  // bytes of a stream that are not there for its weights
  std::mutex mutex_;
  std::map<std::pair<size_t, uint64_t>, std::unique_ptr<Feedback>> loops_;  // kept while memory lasts
  uint64_t loop_bytes_ = 0;
};

// Time to encode the whole model with `threads` threads.
double predicted_seconds(const RateSearch& search, double seconds_per_weight, unsigned threads);

}  // namespace llmcodec
