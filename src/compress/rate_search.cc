// SPDX-License-Identifier: BSD-3-Clause
#include "compress/rate_search.h"

#include <algorithm>
#include <cmath>

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

class Search {
 public:
  explicit Search(RateSearch search)
      : search_(std::move(search)),
        coarse_(search_, SampleDensity::kCoarse),
        fine_(search_, SampleDensity::kFine),
        progress_(*search_.control, 6 * coarse_.weights() + 2 * fine_.weights()) {}

  Result<RateFound> run() {
    LLMC_ASSIGN_OR_RETURN(range_, common_range());
    if (search_.target.kind == TargetKind::kStep) {
      LLMC_ASSIGN_OR_RETURN(const RateEstimate estimate,
                            evaluate(fine_, portable_log2(search_.target.value)));
      return finish(estimate);
    }
    LLMC_ASSIGN_OR_RETURN(const StepSearch numbers, this->numbers());
    LLMC_ASSIGN_OR_RETURN(const StepFound found, coarse_search(numbers));
    if (found.out_of_range) return out_of_reach();
    return correct(numbers, found);
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

  bool by_snr() const { return search_.target.kind == TargetKind::kSnr; }
  // What is searched for: dB, or bytes of the archive.
  double target() const {
    const bool bpw = search_.target.kind == TargetKind::kBpw;
    return bpw ? search_.target.value * static_cast<double>(search_.parameters) / 8 : search_.target.value;
  }
  double reduced(const RateEstimate& estimate) const {
    return by_snr() ? estimate.metrics.snr_db() : estimate.bytes;
  }

  Status choose(double log2_step) {
    for (TensorPlan& plan : *search_.plans) {
      if (!plan.code) continue;
      LLMC_ASSIGN_OR_RETURN(const Codec* codec, search_.codecs->get(plan.codec));
      std::optional<double> quality;
      if (base_step_ && plan.layout != "spectral")
        quality = base_quality_for(*base_step_, codec->info(), plan);
      choose_step(log2_step, quality, codec->info(), &plan);
    }
    return Status::ok();
  }

  Result<RateEstimate> evaluate(RateSamples& samples, double log2_step) {
    LLMC_RETURN_IF_ERROR(choose(log2_step));
    return samples.evaluate([this](uint64_t weights) { progress_.add(weights); });
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
      double weights = 0;
      for (const TensorJob& job : *search_.jobs) weights += static_cast<double>(job.shape.weights());
      LLMC_RETURN_IF_ERROR(choose(gaussian_log2_step(3)));  // any steps: headers need some
      LLMC_ASSIGN_OR_RETURN(const uint64_t fixed, search_.fixed_bytes());
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
      base_step_ = near.log2_step;
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
    if (std::abs(reduced(*best) - target()) > hit) return out_of_reach();
    // What samples leave within the tolerance goes by the slope: no evaluation for a thousandth.
    const bool by_slope = range_.continuous && !fine_.is_whole();
    const double left = by_slope ? (target() - corrected.value) / corrected.slope : 0;
    LLMC_RETURN_IF_ERROR(choose(on_step_grid(corrected.log2_step + left)));
    return finish(*best);
  }

  RateFound finish(const RateEstimate& estimate) {
    double octaves = 0, weights = 0;
    for (const TensorJob& job : *search_.jobs) {
      octaves += job.plan->step_octaves * static_cast<double>(job.shape.weights());
      weights += static_cast<double>(job.shape.weights());
    }
    for (size_t j = 0; j < search_.jobs->size(); ++j) {
      TensorPlan& plan = (*search_.plans)[(*search_.jobs)[j].index];
      plan.predicted_bytes = estimate.tensor_bytes[j];
      plan.predicted_snr_db =
          estimate.tensor_errors[j].count() > 0
              ? estimate.tensor_errors[j].snr_db()
              : estimate.metrics.snr_db() - 6.02 * (plan.step_octaves - octaves / weights);
    }
    RateFound found;
    found.predicted_bytes = static_cast<uint64_t>(estimate.bytes);
    found.predicted_snr_db = estimate.metrics.snr_db();
    found.predicted_seconds =
        predicted_seconds(search_, estimate.seconds_per_weight, thread_count(search_.control->threads));
    return found;
  }

  // The target cannot be met: says what can, from the ends of the step range.
  Error out_of_reach() {
    base_step_.reset();
    const auto fine = evaluate(coarse_, range_.min);
    if (!fine.is_ok()) return fine.error();
    const auto coarse = evaluate(coarse_, range_.max);
    if (!coarse.is_ok()) return coarse.error();
    if (by_snr())
      return error(ErrorKind::kInvalidArgument,
                   "{} dB cannot be reached: this model and codec reach from {:.2f} to {:.2f} dB",
                   search_.target.value, reduced(*coarse), reduced(*fine));
    const auto fixed = search_.fixed_bytes();
    if (!fixed.is_ok()) return fixed.error();
    const auto bpw = [&](double bytes) { return 8 * bytes / static_cast<double>(search_.parameters); };
    return error(
        ErrorKind::kInvalidArgument,
        "the wanted size ({:.4g} bits per weight) cannot be reached: this model and codec reach from {:.4g} "
        "to "
        "{:.4g} bits per weight ({:.0f} to {:.0f} bytes), of which {:.4g} are scales, headers and tensors "
        "stored exactly",
        bpw(target()), bpw(coarse->bytes), bpw(fine->bytes), coarse->bytes, fine->bytes,
        bpw(static_cast<double>(*fixed)));
  }

  RateSearch search_;
  RateSamples coarse_, fine_;
  RateProgress progress_;
  StepRange range_;
  std::optional<double> base_step_;  // where qualities are taken from, once they are fixed
};

}  // namespace

Result<RateFound> find_steps(RateSearch search) {
  if (!search.jobs->empty()) return Search(std::move(search)).run();
  LLMC_ASSIGN_OR_RETURN(const uint64_t fixed, search.fixed_bytes());
  return RateFound{fixed, 0, 0};
}

}  // namespace llmcodec
