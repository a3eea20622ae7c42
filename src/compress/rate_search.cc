// SPDX-License-Identifier: BSD-3-Clause
#include "compress/rate_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/ordered_run.h"
#include "compress/rate_samples.h"
#include "plan/codec_settings.h"
#include "quant/portable_math.h"
#include "rate/gaussian_rate.h"
#include "rate/step_search.h"

namespace llmcodec {
namespace {

constexpr double kCoarseTolerance = 0.005, kFineTolerance = 0.002;  // of the wanted bytes
constexpr double kCoarseDecibels = 0.1, kFineDecibels = 0.03;
constexpr int kFineEvaluations = 8;  // two or three, but for models whose few samples misled
// What counts as hit in the end; codecs whose rate jumps get the wider one.
constexpr double kHit = 0.008, kHitWithJumps = 0.018, kHitDecibels = 0.1;

// Tells how far the search is: the total is a guess, so `done` stays below it until the end.
class RateProgress {
 public:
  RateProgress(const Control& control, uint64_t expected) : control_(control), total_(expected) {}
  void add(uint64_t weights) {
    done_ = std::min(done_ + weights, total_ - total_ / 100);
    if (control_.progress) control_.progress({"rate", done_, total_, ""});
  }

 private:
  const Control& control_;
  uint64_t done_ = 0, total_;
};

// Settings of all tensors at one step; `base_log2_step`: where qualities are taken from, once they are fixed.
Status choose_step(const RateProblem& problem, double log2_step, std::optional<double> base_log2_step,
                   std::vector<TensorSettings>* all) {
  for (const FittedTensor& tensor : *problem.tensors) {
    LLMC_ASSIGN_OR_RETURN(const Codec* codec, problem.codecs->get(tensor.plan->codec));
    TensorSettings& settings = (*all)[tensor.index];
    settings.octaves = (*problem.octaves)[tensor.index];
    settings.pictures = settings_for({log2_step, settings.octaves, base_log2_step}, *tensor.plan,
                                     tensor.shape, codec->info());
    if (Status status = check_step(settings.pictures.step); !status.is_ok())
      return std::move(status).error().in_tensor(tensor.plan->name);
  }
  return Status::ok();
}

class Search {
 public:
  explicit Search(const RateProblem& problem)
      : problem_(problem),
        tensors_(*problem.tensors),
        feedback_(*problem.moments, kMaxLoopBytes),
        coarse_(problem, SampleDensity::kCoarse, feedback_),
        fine_(problem, SampleDensity::kFine, feedback_),
        progress_(*problem.control, 6 * coarse_.weights() + 2 * fine_.weights()),
        settings_(problem.source->tensors().size()) {
    for (const TensorInfo& info : problem.source->tensors()) parameters_ += info.elements();
  }

  Result<RateFound> run() {
    LLMC_ASSIGN_OR_RETURN(range_, common_range());
    if (problem_.target.kind == TargetKind::kStep) {
      LLMC_ASSIGN_OR_RETURN(const RateEstimate estimate,
                            evaluate(fine_, portable_log2(problem_.target.value)));
      return finish(estimate);
    }
    LLMC_ASSIGN_OR_RETURN(const StepSearch numbers, this->numbers());
    LLMC_ASSIGN_OR_RETURN(const StepFound found, coarse_search(numbers));
    if (found.out_of_range) return exact_or_out_of_reach();
    return correct(numbers, found);
  }

 private:
  // The range of steps that every coded tensor's codec takes.
  Result<StepRange> common_range() {
    StepRange range{-kMaxLog2Step, kMaxLog2Step, true};
    for (const FittedTensor& tensor : tensors_) {
      LLMC_ASSIGN_OR_RETURN(const Codec* codec, problem_.codecs->get(tensor.plan->codec));
      const StepRange own = step_range(codec->info(), *tensor.plan);
      range.min = std::max(range.min, own.min);
      range.max = std::min(range.max, own.max);
      range.continuous = range.continuous && own.continuous;
    }
    return range;
  }

  bool by_snr() const { return problem_.target.kind == TargetKind::kSnr; }
  // What is searched for: dB, or bytes of the archive.
  double target() const {
    const bool bpw = problem_.target.kind == TargetKind::kBpw;
    return bpw ? problem_.target.value * static_cast<double>(parameters_) / 8 : problem_.target.value;
  }
  double reduced(const RateEstimate& estimate) const {
    return by_snr() ? estimate.energies.snr_db() : estimate.bytes;
  }

  Status choose(double log2_step) { return choose_step(problem_, log2_step, base_log2_step_, &settings_); }

  Result<RateEstimate> evaluate(RateSamples& samples, double log2_step) {
    LLMC_RETURN_IF_ERROR(choose(log2_step));
    return samples.evaluate(&settings_, [this](uint64_t weights) { progress_.add(weights); });
  }

  Result<StepSearch> numbers() {
    StepSearch numbers;
    numbers.min = range_.min;
    numbers.max = range_.max;
    numbers.target = target();
    double bits = numbers.target / 6.02 + 0.2;
    numbers.slope = -6.02;
    numbers.tolerance = kCoarseDecibels;
    if (!by_snr()) {
      const auto weights = static_cast<double>(total_weights(tensors_));
      LLMC_RETURN_IF_ERROR(choose(gaussian_log2_step(3)));  // any steps: headers need some
      LLMC_ASSIGN_OR_RETURN(const uint64_t fixed, problem_.fixed_bytes->get(settings_));
      bits = 8 * (numbers.target - static_cast<double>(fixed)) / weights;
      numbers.slope = -weights / 8;
      numbers.tolerance = kCoarseTolerance * numbers.target;
    }
    numbers.guess = gaussian_log2_step(bits);
    return numbers;
  }

  Result<StepFound> coarse_search(StepSearch numbers) {
    const auto value = [&](double x) -> Result<double> {
      LLMC_ASSIGN_OR_RETURN(const RateEstimate estimate, evaluate(coarse_, x));
      return reduced(estimate);
    };
    if (!range_.continuous) {
      // With the quality rounded at every step the rate jumps, but comes near enough to fix the quality.
      StepSearch jumps = numbers;
      jumps.tolerance = by_snr() ? 0.5 : 0.04 * numbers.target;
      LLMC_ASSIGN_OR_RETURN(const StepFound near, search_step(jumps, value));
      if (near.out_of_range) return near;
      base_log2_step_ = near.log2_step;
      numbers.guess = near.log2_step;
      numbers.min = std::max(numbers.min, near.log2_step - 1.5);
      numbers.max = std::min(numbers.max, near.log2_step + 1.5);
    }
    LLMC_ASSIGN_OR_RETURN(StepFound found, search_step(numbers, value));
    found.out_of_range = found.out_of_range && range_.continuous;  // else: the end of what was tried only
    return found;
  }

  // The samples of the coarse search are few: what many say moves the step, by the slope already known at
  // first.
  Result<RateFound> correct(StepSearch fine, const StepFound& found) {
    fine.guess = found.log2_step;
    fine.slope = found.slope;
    fine.tolerance = by_snr() ? kFineDecibels : kFineTolerance * target();
    fine.max_evaluations = kFineEvaluations;
    std::optional<RateEstimate> best;
    LLMC_ASSIGN_OR_RETURN(const StepFound corrected, search_step(fine, [&](double x) -> Result<double> {
                            LLMC_ASSIGN_OR_RETURN(RateEstimate estimate, evaluate(fine_, x));
                            const double value = reduced(estimate);
                            if (!best || std::abs(value - target()) < std::abs(reduced(*best) - target()))
                              best = std::move(estimate);
                            return value;
                          }));
    const double hit = by_snr() ? kHitDecibels : (range_.continuous ? kHit : kHitWithJumps) * target();
    if (std::abs(reduced(*best) - target()) > hit) return exact_or_out_of_reach();
    // What samples leave within the tolerance goes by the slope: no evaluation for a thousandth.
    const bool by_slope = range_.continuous && !fine_.is_whole();
    const double left = by_slope ? (target() - corrected.value) / corrected.slope : 0;
    LLMC_RETURN_IF_ERROR(choose(on_step_grid(corrected.log2_step + left)));
    return finish(*best);
  }

  RateFound finish(const RateEstimate& estimate) {
    for (size_t j = 0; j < tensors_.size(); ++j) {
      TensorSettings& settings = settings_[tensors_[j].index];
      settings.predicted_bytes = estimate.tensor_bytes[j];
      settings.predicted_snr_db = estimate.tensor_energies[j].snr_db();
    }
    return {
        std::move(settings_), static_cast<uint64_t>(estimate.bytes), estimate.energies.snr_db(),
        predicted_seconds(tensors_, estimate.seconds_per_weight, thread_count(problem_.control->threads))};
  }

  // Weights that are all zero, say, take no bits: where a step that loses nothing needs less than the target allows, or is
  // as coarse as can be, it is what was asked for.
  Result<RateFound> exact_or_out_of_reach() {
    base_log2_step_.reset();
    LLMC_ASSIGN_OR_RETURN(const RateEstimate estimate, evaluate(fine_, by_snr() ? range_.max : range_.min));
    const bool exact = estimate.energies.snr_db() == std::numeric_limits<double>::infinity();
    if (exact && (by_snr() || estimate.bytes <= target())) return finish(estimate);
    return out_of_reach();
  }

  // The target cannot be met: says what can, from the ends of the step range.
  Error out_of_reach() {
    const auto fine = evaluate(coarse_, range_.min);
    if (!fine.is_ok()) return fine.error();
    const auto coarse = evaluate(coarse_, range_.max);
    if (!coarse.is_ok()) return coarse.error();
    if (by_snr())
      return error(ErrorKind::kInvalidArgument,
                   "{} dB cannot be reached: this model and codec reach from {:.2f} to {:.2f} dB",
                   problem_.target.value, reduced(*coarse), reduced(*fine));
    const auto fixed = problem_.fixed_bytes->get(settings_);
    if (!fixed.is_ok()) return fixed.error();
    const auto bpw = [&](double bytes) { return 8 * bytes / static_cast<double>(parameters_); };
    return error(
        ErrorKind::kInvalidArgument,
        "the wanted size ({:.4g} bits per weight) cannot be reached: this model and codec reach from {:.4g} "
        "to {:.4g} bits per weight ({:.0f} to {:.0f} bytes), of which {:.4g} are scales, headers and tensors "
        "stored exactly",
        bpw(target()), bpw(coarse->bytes), bpw(fine->bytes), coarse->bytes, fine->bytes,
        bpw(static_cast<double>(*fixed)));
  }

  const RateProblem& problem_;
  const std::vector<FittedTensor>& tensors_;
  uint64_t parameters_ = 0;  // of the whole model
  FeedbackCache feedback_;
  RateSamples coarse_, fine_;
  RateProgress progress_;
  StepRange range_;
  std::optional<double> base_log2_step_;  // where qualities are taken from, once they are fixed
  std::vector<TensorSettings> settings_;  // as chosen last
};

// Nothing is coded: the target is met by what is stored exactly, or not at all.
Status check_fixed(const RateProblem& problem, double fixed) {
  const Target& target = problem.target;
  if (target.kind != TargetKind::kBpw && target.kind != TargetKind::kSize) return Status::ok();
  double parameters = 0;
  for (const TensorInfo& info : problem.source->tensors()) parameters += static_cast<double>(info.elements());
  const double wanted = target.kind == TargetKind::kSize ? target.value : target.value * parameters / 8;
  if (fixed <= wanted * (1 + kHit)) return Status::ok();
  return error(ErrorKind::kInvalidArgument,
               "the wanted size ({:.0f} bytes) cannot be reached: every tensor of this model is stored "
               "exactly, which takes "
               "{:.0f} bytes ({:.4g} bits per weight); --code REGEX has tensors coded",
               wanted, fixed, 8 * fixed / parameters);
}

}  // namespace

Result<RateFound> find_steps(const RateProblem& problem) {
  if (!problem.tensors->empty()) return Search(problem).run();
  std::vector<TensorSettings> settings(problem.source->tensors().size());
  LLMC_ASSIGN_OR_RETURN(const uint64_t fixed, problem.fixed_bytes->get(settings));
  LLMC_RETURN_IF_ERROR(check_fixed(problem, static_cast<double>(fixed)));
  return RateFound{std::move(settings), fixed, 0, 0};
}

Result<std::vector<TensorSettings>> settings_at_step(const RateProblem& problem) {
  std::vector<TensorSettings> settings(problem.source->tensors().size());
  LLMC_RETURN_IF_ERROR(choose_step(problem, portable_log2(problem.target.value), std::nullopt, &settings));
  return settings;
}

}  // namespace llmcodec
