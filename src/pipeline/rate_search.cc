// SPDX-License-Identifier: BSD-3-Clause
#include "pipeline/rate_search.h"

#include <chrono>
#include <cmath>

#include "base/checked_math.h"
#include "pipeline/ordered_run.h"
#include "pipeline/step_choice.h"
#include "quant/portable_math.h"
#include "rate/gaussian_rate.h"
#include "rate/step_search.h"

namespace llmcodec {
namespace {

constexpr uint64_t kSampleWeights = 1 << 17;
constexpr uint64_t kMinSamples = 8;
constexpr uint64_t kMaxSamples = 128;
constexpr uint64_t kOutlierBytes = 8;  // an index and a value; a little less for 16-bit sources
constexpr uint64_t kSampledPart = 24;  // one weight in so many is coded per evaluation

// Some rows of one matrix, standing for `weight` weights of the model.
struct Sample {
  size_t job = 0;
  uint64_t matrix = 0;
  double position = 0;  // of the first row, as a part of all rows
};

struct SampleResult {
  uint64_t weights = 0, bytes = 0;
  ErrorMetrics metrics;
  double seconds = 0;
};

struct Evaluation {
  double bits_per_weight = 0;
  std::vector<SampleResult> samples;
  ErrorMetrics metrics;
  double seconds_per_weight = 0;
};

// Every weight of a small model: few samples would stand for too many different tensors.
std::vector<Sample> all_samples(const std::vector<TensorJob>& jobs) {
  std::vector<Sample> samples;
  for (size_t j = 0; j < jobs.size(); ++j) {
    const uint64_t parts = ceil_div(jobs[j].shape.rows * jobs[j].shape.cols, kSampleWeights);
    for (uint64_t i = 0; i < jobs[j].shape.matrices * parts; ++i)
      samples.push_back({j, i / parts, static_cast<double>(i % parts) / static_cast<double>(parts)});
  }
  return samples;
}

// Evenly spaced over all coded weights, so that every weight counts alike and no sample needs a factor.
std::vector<Sample> spread_samples(const std::vector<TensorJob>& jobs) {
  uint64_t total = 0;
  for (const TensorJob& job : jobs) total += job.shape.weights();
  if (total <= kMinSamples * kSampleWeights) return all_samples(jobs);
  const uint64_t count = std::clamp(total / kSampledPart / kSampleWeights, kMinSamples, kMaxSamples);
  std::vector<Sample> samples;
  uint64_t begin = 0;
  size_t j = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const uint64_t at = static_cast<uint64_t>((static_cast<double>(i) + 0.5) / static_cast<double>(count) *
                                              static_cast<double>(total));
    while (at >= begin + jobs[j].shape.weights()) begin += jobs[j++].shape.weights();
    const uint64_t inside = at - begin;
    const uint64_t matrix = jobs[j].shape.rows * jobs[j].shape.cols;
    samples.push_back(
        {j, inside / matrix, static_cast<double>(inside % matrix) / static_cast<double>(matrix)});
  }
  return samples;
}

class Evaluator {
 public:
  Evaluator(const RateSearch& search, std::vector<Sample> samples)
      : search_(search), samples_(std::move(samples)) {}

  Result<Evaluation> run(double log2_step, std::optional<double> base_quality) {
    for (TensorPlan& plan : *search_.plans) {
      if (!plan.code) continue;
      LLMC_ASSIGN_OR_RETURN(const Codec* codec, search_.codecs->get(plan.codec));
      choose_step(log2_step, base_quality, codec->info(), &plan);
    }
    Evaluation evaluation;
    evaluation.samples.resize(samples_.size());
    LLMC_RETURN_IF_ERROR(for_all(search_.control->threads, samples_.size(), [&](size_t i) -> Status {
      if (search_.control->cancelled && search_.control->cancelled())
        return error(ErrorKind::kInterrupted, "interrupted");
      return encode_sample(samples_[i], &evaluation.samples[i]);
    }));
    uint64_t weights = 0, bytes = 0;
    double seconds = 0;
    for (const SampleResult& sample : evaluation.samples) {
      weights += sample.weights;
      bytes += sample.bytes;
      seconds += sample.seconds;
      evaluation.metrics.merge(sample.metrics);
    }
    evaluation.bits_per_weight = 8.0 * static_cast<double>(bytes) / static_cast<double>(weights);
    evaluation.seconds_per_weight = seconds / static_cast<double>(weights);
    return evaluation;
  }
  const std::vector<Sample>& samples() const { return samples_; }

 private:
  Status encode_sample(const Sample& sample, SampleResult* result) const {
    const TensorJob& job = (*search_.jobs)[sample.job];
    const TensorPlan& plan = *job.plan;
    LLMC_ASSIGN_OR_RETURN(const Codec* codec, search_.codecs->get(plan.codec));
    const uint64_t unit = plan.layout == "spectral" ? plan.outputs_per_block : 32;
    const uint64_t wanted = ceil_div(kSampleWeights, job.shape.cols * unit) * unit;
    const uint64_t rows = std::min(wanted, job.shape.rows);
    const uint64_t place = static_cast<uint64_t>(sample.position * static_cast<double>(job.shape.rows));
    TensorRowReader reader(*search_.source, job.index, job.shape, sample.matrix);
    LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<Feedback> feedback,
                          make_feedback(job, sample.matrix, *search_.moments));
    MatrixContext matrix{&reader, &job.scales[sample.matrix], job.order[sample.matrix], feedback.get(),
                         std::min(place, job.shape.rows - rows)};
    LLMC_ASSIGN_OR_RETURN(const CodedTensor stages, make_stages(job, rows, *codec));
    const auto start = std::chrono::steady_clock::now();
    for (uint64_t picture = 0; picture < stages.pictures_per_matrix(); ++picture) {
      auto coded = encode_pictures(stages, codec, matrix, {picture, 1});
      if (!coded.is_ok()) return std::move(coded).error().in_tensor(plan.name);
      result->bytes += coded->stream.size() + coded->outliers.size() * kOutlierBytes;
      result->metrics.merge(coded->metrics);
    }
    result->weights = rows * job.shape.cols;
    result->seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return Status::ok();
  }

  const RateSearch& search_;
  std::vector<Sample> samples_;
};

uint64_t coded_weights(const RateSearch& search) {
  uint64_t weights = 0;
  for (const TensorJob& job : *search.jobs) weights += job.shape.weights();
  return weights;
}

// The target as bits per coded weight.
double target_bits(const RateSearch& search) {
  double bytes = search.target.value;
  if (search.target.kind == TargetKind::kBpw)
    bytes = search.target.value * static_cast<double>(search.parameters) / 8;
  return 8 * (bytes - static_cast<double>(search.fixed_bytes)) / static_cast<double>(coded_weights(search));
}

// at_finest, at_coarsest: what the ends of the step range give, as reduced() has it.
Error out_of_reach(const RateSearch& search, double at_finest, double at_coarsest) {
  if (search.target.kind == TargetKind::kSnr)
    return error(ErrorKind::kInvalidArgument,
                 "{} dB cannot be reached: this model and codec reach from {:.2f} to {:.2f} dB",
                 search.target.value, at_coarsest, at_finest);
  const double weights = static_cast<double>(coded_weights(search));
  const auto bytes = [&](double bits) {
    return bits * weights / 8 + static_cast<double>(search.fixed_bytes);
  };
  const double parameters = static_cast<double>(search.parameters);
  return error(
      ErrorKind::kInvalidArgument,
      "the wanted size cannot be reached: this model and codec reach from {:.4g} to {:.4g} bits per weight "
      "({:.0f} to {:.0f} bytes), of which {:.4g} are scales, headers and tensors stored exactly",
      8 * bytes(at_coarsest) / parameters, 8 * bytes(at_finest) / parameters, bytes(at_coarsest),
      bytes(at_finest), 8 * static_cast<double>(search.fixed_bytes) / parameters);
}

// What every evaluation is reduced to: bits per coded weight, or the SNR.
double reduced(const RateSearch& search, const Evaluation& evaluation) {
  return search.target.kind == TargetKind::kSnr ? evaluation.metrics.snr_db() : evaluation.bits_per_weight;
}

// Predictions per tensor: the samples' mean, moved by the tensor's own step.
void predict(const RateSearch& search, const Evaluation& evaluation, const std::vector<Sample>& samples) {
  double mean_octaves = 0;
  for (const Sample& sample : samples) mean_octaves += (*search.jobs)[sample.job].plan->step_octaves;
  mean_octaves /= static_cast<double>(samples.size());
  for (const TensorJob& job : *search.jobs) {
    TensorPlan& plan = (*search.plans)[job.index];
    uint64_t bytes = 0, weights = 0;
    ErrorMetrics metrics;
    for (size_t i = 0; i < samples.size(); ++i) {
      if (&(*search.jobs)[samples[i].job] != &job) continue;
      bytes += evaluation.samples[i].bytes;
      weights += evaluation.samples[i].weights;
      metrics.merge(evaluation.samples[i].metrics);
    }
    const double octaves = plan.step_octaves - mean_octaves;
    const double bits = weights > 0 ? 8.0 * static_cast<double>(bytes) / static_cast<double>(weights)
                                    : std::max(0.01, evaluation.bits_per_weight - octaves);
    plan.predicted_bytes = static_cast<uint64_t>(bits / 8 * static_cast<double>(job.shape.weights()));
    plan.predicted_snr_db = weights > 0 ? metrics.snr_db() : evaluation.metrics.snr_db() - 6.02 * octaves;
  }
}

class Search {
 public:
  explicit Search(RateSearch search)
      : search_(std::move(search)), evaluator_(search_, spread_samples(*search_.jobs)) {}

  Result<RateFound> run() {
    LLMC_ASSIGN_OR_RETURN(const StepRange range, common_range());
    if (search_.target.kind == TargetKind::kStep) {
      LLMC_ASSIGN_OR_RETURN(last_, evaluator_.run(portable_log2(search_.target.value), std::nullopt));
      return finish();
    }
    StepSearch numbers = numbers_for(range);
    std::optional<double> base_quality;
    if (!range.continuous) {
      LLMC_ASSIGN_OR_RETURN(const StepFound coarse, coarse_search(numbers));
      base_quality = quality_at(coarse.log2_step);
      numbers.guess = coarse.log2_step;
      numbers.min = std::max(numbers.min, coarse.log2_step - 1.5);
      numbers.max = std::min(numbers.max, coarse.log2_step + 1.5);
    }
    double evaluated_at = 0;
    LLMC_ASSIGN_OR_RETURN(const StepFound found, search_step(numbers, [&](double x) -> Result<double> {
                            LLMC_ASSIGN_OR_RETURN(last_, evaluator_.run(x, base_quality));
                            evaluated_at = x;
                            return reduced(search_, last_);
                          }));
    if (found.out_of_range || !near_enough(found)) {
      LLMC_ASSIGN_OR_RETURN(const Evaluation fine, evaluator_.run(range.min, std::nullopt));
      LLMC_ASSIGN_OR_RETURN(const Evaluation coarse, evaluator_.run(range.max, std::nullopt));
      return out_of_reach(search_, reduced(search_, fine), reduced(search_, coarse));
    }
    if (evaluated_at != found.log2_step) {
      LLMC_ASSIGN_OR_RETURN(last_, evaluator_.run(found.log2_step, base_quality));
    }
    return finish();
  }

 private:
  // The range of steps that every coded tensor's codec takes.
  Result<StepRange> common_range() {
    StepRange range{-40, 40, true};
    for (const TensorPlan& plan : *search_.plans) {
      if (!plan.code) continue;
      LLMC_ASSIGN_OR_RETURN(const Codec* codec, search_.codecs->get(plan.codec));
      const StepRange own = step_range(codec->info(), plan);
      range.min = std::max(range.min, own.min);
      range.max = std::min(range.max, own.max);
      range.continuous = range.continuous && own.continuous;
    }
    return range;
  }

  StepSearch numbers_for(const StepRange& range) const {
    StepSearch numbers;
    numbers.min = range.min;
    numbers.max = range.max;
    if (search_.target.kind == TargetKind::kSnr) {
      numbers.target = search_.target.value;
      numbers.slope = -6.02;
      numbers.tolerance = 0.02;
      numbers.guess = gaussian_log2_step(numbers.target / 6.02 + 0.2);
    } else {
      numbers.target = target_bits(search_);
      numbers.tolerance = 0.001 * numbers.target;
      numbers.guess = gaussian_log2_step(numbers.target);
    }
    return numbers;
  }

  // With the quality rounded at every step: jumps, but near enough to fix the quality for the fine search.
  Result<StepFound> coarse_search(StepSearch numbers) {
    std::vector<Sample> few;
    const std::vector<Sample>& all = evaluator_.samples();
    for (size_t i = 0; i < all.size(); i += std::max<size_t>(1, all.size() / 4)) few.push_back(all[i]);
    Evaluator coarse(search_, few);
    numbers.tolerance = 0.04 * numbers.target;
    return search_step(numbers, [&](double x) -> Result<double> {
      LLMC_ASSIGN_OR_RETURN(const Evaluation evaluation, coarse.run(x, std::nullopt));
      return reduced(search_, evaluation);
    });
  }

  double quality_at(double log2_step) {
    for (TensorPlan& plan : *search_.plans) {
      if (!plan.code || plan.layout == "spectral") continue;
      const Codec* codec = *search_.codecs->get(plan.codec);
      return base_quality_for(log2_step, codec->info(), plan);
    }
    return 0;
  }

  bool near_enough(const StepFound& found) const {
    const double error =
        std::abs(found.value -
                 (search_.target.kind == TargetKind::kSnr ? search_.target.value : target_bits(search_)));
    return error <= (search_.target.kind == TargetKind::kSnr ? 0.1 : 0.006 * target_bits(search_));
  }

  Result<RateFound> finish() {
    predict(search_, last_, evaluator_.samples());
    RateFound found;
    found.predicted_bytes = search_.fixed_bytes;
    for (const TensorJob& job : *search_.jobs)
      found.predicted_bytes += (*search_.plans)[job.index].predicted_bytes;
    found.predicted_snr_db = last_.metrics.snr_db();
    found.seconds_per_weight = last_.seconds_per_weight;
    return found;
  }

  RateSearch search_;
  Evaluator evaluator_;
  Evaluation last_;
};

}  // namespace

Result<RateFound> find_steps(RateSearch search) {
  if (search.jobs->empty()) return RateFound{search.fixed_bytes, 0, 0};
  return Search(std::move(search)).run();
}

}  // namespace llmcodec
