// SPDX-License-Identifier: BSD-3-Clause
// What an archive would come to at given steps: codes parts of the model and extrapolates. A small model is
// coded whole, in the very segments of the archive; of a large one, strips of rows spread evenly over all
// weights.
//
// Example (const RateProblem& problem, std::vector<TensorSettings> settings):
//
//   FeedbackCache feedback(*problem.moments, kMaxLoopBytes);
//   RateSamples samples(problem, SampleDensity::kFine, feedback);
//   const auto progress = [](uint64_t weights) { use(weights); };
//   LLMC_ASSIGN_OR_RETURN(const RateEstimate estimate, samples.evaluate(&settings, progress));
#pragma once

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "base/error_metrics.h"
#include "compress/expected_rows.h"
#include "compress/feedback_cache.h"
#include "compress/rate_search.h"
#include "compress/segment_run.h"

namespace llmcodec {

// Of weights and of their errors.
struct Energies {
  double signal = 0, error = 0;
  double snr_db() const;  // as ErrorMetrics has it
};

struct RateEstimate {
  double bytes = 0;                       // of the whole archive
  Energies energies;                      // of all coded weights, copies included
  double seconds_per_weight = 0;          // of encoding, one thread
  std::vector<uint64_t> tensor_bytes;     // per tensor, scales left out; their sum is what `bytes` counts
  std::vector<Energies> tensor_energies;  // per tensor
};

enum class SampleDensity { kCoarse, kFine };

constexpr uint64_t kMaxLoopBytes = 256 << 20;  // of closed-loop factors kept between evaluations

class RateSamples {
 public:
  // `feedback`: shared by all samples of a search, and must outlive them.
  RateSamples(const RateProblem& problem, SampleDensity density, FeedbackCache& feedback);

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
    RowSpan stands_for = {};  // rows of its matrix, around it; of a model that is not coded whole
  };
  // What a strip, or those of one tensor, of a kind or of all came to.
  struct Totals {
    double weights = 0;
    double bytes = 0;  // without what a stream takes before its first weight
    double seconds = 0;
    Energies energies;
    ExpectedRows expected;  // of the rows that were coded
    void add(const Totals& other);
  };
  // What extrapolation needs to know of a tensor.
  struct TensorFacts {
    double overhead = 0;   // bytes of a stream that are not there for its weights; 0 when everything is coded
    uint64_t streams = 0;  // in the archive
    double log2_step = 0;
    bool flat_rate = false;
    ExpectedRows expected;  // of the whole tensor
  };
  // What is said of a tensor, scales left out.
  struct TensorEstimate {
    double bytes = 0;
    Energies energies;
    // What rows come to of which this is expected, if they do as `like` did.
    void add_like(const Totals& like, const ExpectedRows& expected);
  };
  void spread_strips(uint64_t count, uint64_t strip_weights);
  size_t first_strip_of(size_t strip) const;
  // A strip as it is coded: in whole blocks, so that it has no other edges than its picture would have.
  Strip in_blocks(const Strip& strip, const PictureSettings& settings) const;
  Result<std::vector<SegmentTask>> pieces(const Strip& placed, const PictureSettings& settings) const;
  static std::string stream_kind(const FittedTensor& tensor, const PictureSettings& settings);
  std::optional<std::array<Strip, 2>> halves(const Strip& placed, const PictureSettings& settings) const;
  Result<double> overhead(const std::string& kind, const std::vector<TensorSettings>& settings);
  Status run(std::vector<SegmentTask> tasks, const std::function<Status(SegmentTask&)>& take);
  Result<std::vector<TensorFacts>> facts(const std::vector<TensorSettings>& settings);
  // Of each strip.
  Result<std::vector<Totals>> code(const std::vector<TensorSettings>& settings,
                                   const std::vector<TensorFacts>& facts,
                                   const std::function<void(uint64_t)>& progress);
  std::vector<TensorEstimate> exact_estimates(const std::vector<Totals>& strips) const;
  std::vector<TensorEstimate> spread_estimates(const std::vector<Totals>& strips,
                                               const std::vector<TensorFacts>& facts) const;

  const RateProblem& problem_;
  const std::vector<FittedTensor>& tensors_;
  FeedbackCache& feedback_;
  bool whole_ = false;
  std::vector<Strip> strips_;
  uint64_t weights_ = 0;
  std::map<std::string, double> overheads_;  // by kind of stream: bytes that are not there for its weights
};

// Time to encode all tensors with `threads` threads.
double predicted_seconds(const std::vector<FittedTensor>& tensors, double seconds_per_weight,
                         unsigned threads);

}  // namespace llmcodec
