// SPDX-License-Identifier: BSD-3-Clause
#include "compress/rate_samples.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <limits>

#include "base/checked_math.h"
#include "plan/codec_settings.h"

namespace llmcodec {
namespace {

constexpr uint64_t kStripWeights = 1 << 17, kMinStripWeights = 1 << 14;
constexpr uint64_t kSampledPart = 16;  // one weight in so many is coded for a fine estimate
constexpr uint64_t kMinStrips = 32, kMaxStrips = 160;
constexpr uint64_t kCoarsePart =
    4;  // one fine strip, and at most one weight, in so many is coded for a coarse one
constexpr uint64_t kMinCoarseStrips = 6;
constexpr uint64_t kStripsAtOnce = 8;  // more would leave threads without work at the end
constexpr size_t kHalvedStrips = 4;    // to see what a stream costs beside its weights

// "blk.#.attn_v.weight": the name without its numbers.
std::string kind_of(const std::string& name) {
  std::string kind;
  for (const char c : name) {
    const bool digit = c >= '0' && c <= '9';
    if (!digit) kind += c;
    if (digit && !kind.ends_with('#')) kind += '#';
  }
  return kind;
}

// Rows that end where a block does: of our transform, or of the largest that encoders cut pictures into. What they make of a
// piece of a block costs more than its part of a whole one.
uint64_t rows_of_block(const PictureSettings& settings) {
  constexpr uint64_t kPiece = 32;  // weights of a folded column
  constexpr uint64_t kCodingTreeUnit = 64;
  if (settings.layout == Layout::kSpatial) return kCodingTreeUnit;
  if (settings.lines == Lines::kRows) return 1;
  return settings.outputs_per_block * (settings.lines == Lines::kColumns ? kPiece : 1);
}

}  // namespace

RateSamples::RateSamples(const RateProblem& problem, SampleDensity density, FeedbackCache& feedback)
    : problem_(problem), tensors_(*problem.tensors), feedback_(feedback) {
  const uint64_t total = total_weights(tensors_);
  const bool coarse = density == SampleDensity::kCoarse;
  whole_ = total <= (coarse ? kMinStripWeights * kMinCoarseStrips : problem.whole_weights);
  if (whole_) {
    for (size_t t = 0; t < tensors_.size(); ++t) {
      const MatrixShape& shape = tensors_[t].shape;
      for (uint64_t m = 0; m < shape.matrices; ++m) strips_.push_back({t, m, 0, shape.rows});
    }
  } else {
    uint64_t count = std::clamp(total / kSampledPart / kStripWeights, kMinStrips, kMaxStrips);
    if (coarse) count = std::max(kMinCoarseStrips, count / kCoarsePart);
    spread_strips(count, std::clamp(total / kCoarsePart / count, kMinStripWeights, kStripWeights));
  }
  for (const Strip& strip : strips_) weights_ += strip.rows * tensors_[strip.tensor].shape.cols;
}

// Evenly spaced over all coded weights, each in the middle of the rows that it stands for. Strips differ in size where
// matrices are smaller than one; what they stand for is told by what was expected of them, not by their number.
void RateSamples::spread_strips(uint64_t count, uint64_t strip_weights) {
  const double spacing = static_cast<double>(total_weights(tensors_)) / static_cast<double>(count);
  uint64_t begin = 0;
  size_t t = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const auto at = static_cast<uint64_t>((static_cast<double>(i) + 0.5) * spacing);
    while (at >= begin + tensors_[t].shape.weights()) begin += tensors_[t++].shape.weights();
    const MatrixShape& shape = tensors_[t].shape;
    const uint64_t rows = std::min(align_up(ceil_div(strip_weights, shape.cols), 32), shape.rows);
    const uint64_t inside = at - begin, matrix = shape.rows * shape.cols;
    const uint64_t middle = inside % matrix / shape.cols;
    const auto around = static_cast<uint64_t>(spacing / 2 / static_cast<double>(shape.cols));
    const uint64_t first = middle - std::min(middle, around);
    const RowSpan stands_for{first, std::min(middle + around, shape.rows) - first};
    const uint64_t row = std::min(middle - std::min(middle, rows / 2), shape.rows - rows);
    strips_.push_back({t, inside / matrix, row, rows, stands_for});
  }
}

RateSamples::Strip RateSamples::in_blocks(const Strip& strip, const PictureSettings& settings) const {
  const MatrixShape& shape = tensors_[strip.tensor].shape;
  const uint64_t rows = std::min(align_up(strip.rows, rows_of_block(settings)), shape.rows);
  return {strip.tensor, strip.matrix, std::min(strip.first_row, shape.rows - rows), rows, strip.stands_for};
}

Result<std::vector<SegmentTask>> RateSamples::pieces(const Strip& placed,
                                                     const PictureSettings& settings) const {
  const FittedTensor& tensor = tensors_[placed.tensor];
  LLMC_ASSIGN_OR_RETURN(const Codec* codec, problem_.codecs->get(tensor.plan->codec));
  LLMC_ASSIGN_OR_RETURN(TensorRecipe recipe, tensor.recipe(placed.rows, settings, *codec));
  return segments_of(tensor, codec, std::make_shared<const TensorRecipe>(std::move(recipe)), placed.matrix,
                     placed.first_row);
}

Result<RateEstimate> RateSamples::evaluate(std::vector<TensorSettings>* settings,
                                           const std::function<void(uint64_t)>& progress) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<TensorFacts> facts, this->facts(*settings));
  LLMC_ASSIGN_OR_RETURN(const std::vector<Totals> strips, code(*settings, facts, progress));
  RateEstimate estimate;
  double seconds = 0, weights = 0;
  for (const Totals& totals : strips) {
    seconds += totals.seconds;
    weights += totals.weights;
  }
  estimate.seconds_per_weight = seconds / weights;
  const std::vector<TensorEstimate> all = whole_ ? exact_estimates(strips) : spread_estimates(strips, facts);
  for (size_t t = 0; t < all.size(); ++t) {
    estimate.bytes += all[t].bytes;
    estimate.tensor_bytes.push_back(static_cast<uint64_t>(std::llround(all[t].bytes)));
    (*settings)[tensors_[t].index].predicted_bytes = estimate.tensor_bytes[t];
    const double names = static_cast<double>(tensors_[t].copies + 1);
    estimate.energies.signal += names * all[t].energies.signal;
    estimate.energies.error += names * all[t].energies.error;
    estimate.tensor_energies.push_back(all[t].energies);
  }
  LLMC_ASSIGN_OR_RETURN(const uint64_t fixed, problem_.fixed_bytes->get(*settings));
  estimate.bytes += static_cast<double>(fixed);
  return estimate;
}

// Codes all strips.
Result<std::vector<RateSamples::Totals>> RateSamples::code(const std::vector<TensorSettings>& settings,
                                                           const std::vector<TensorFacts>& facts,
                                                           const std::function<void(uint64_t)>& progress) {
  std::vector<SegmentTask> tasks;
  std::vector<size_t> strip_of;  // each task
  std::vector<Totals> totals(strips_.size());
  for (size_t s = 0; s < strips_.size(); ++s) {
    const size_t t = strips_[s].tensor;
    const PictureSettings& pictures = settings[tensors_[t].index].pictures;
    const Strip placed = in_blocks(strips_[s], pictures);
    LLMC_ASSIGN_OR_RETURN(std::vector<SegmentTask> own, pieces(placed, pictures));
    strip_of.insert(strip_of.end(), own.size(), s);
    std::ranges::move(own, std::back_inserter(tasks));
    if (!whole_)
      totals[s].expected = expected_rows(tensors_[t], placed.matrix, {placed.first_row, placed.rows},
                                         facts[t].log2_step, facts[t].flat_rate);
  }
  size_t taken = 0;
  std::vector<OutlierList> outliers(strips_.size());
  const auto take = [&](SegmentTask& task) {
    const size_t s = strip_of[taken++];
    Totals& strip = totals[s];
    const TensorFacts& known = facts[static_cast<size_t>(task.tensor - tensors_.data())];
    const auto stream = static_cast<double>(task.coded.stream.size());
    strip.weights += static_cast<double>(task.coded.metrics.count());
    strip.bytes += std::max(0.0, stream - known.overhead);
    const OutlierList& found = task.coded.outliers;
    OutlierList& own = outliers[whole_ ? first_strip_of(s) : s];
    own.indices.insert(own.indices.end(), found.indices.begin(), found.indices.end());
    own.values.insert(own.values.end(), found.values.begin(), found.values.end());
    strip.seconds += task.seconds;
    strip.energies.signal += task.coded.metrics.signal_energy();
    strip.energies.error += task.coded.metrics.error_energy();
    progress(task.coded.metrics.count());
    return Status::ok();
  };
  LLMC_RETURN_IF_ERROR(run(std::move(tasks), take));
  // As they will be stored: packed, they take half of their width.
  for (size_t s = 0; s < strips_.size(); ++s) {
    if (outliers[s].size() == 0) continue;
    const TensorInfo& info = problem_.source->tensors()[tensors_[strips_[s].tensor].index];
    LLMC_ASSIGN_OR_RETURN(const Part part, outliers_to_part(outliers[s], info));
    totals[s].bytes += static_cast<double>(part.bytes.size());
  }
  return totals;
}

// Of a model that is coded whole, the strip of its tensor's first matrix: outliers of all matrices are one part.
size_t RateSamples::first_strip_of(size_t strip) const {
  return strip - strips_[strip].matrix;
}

Status RateSamples::run(std::vector<SegmentTask> tasks, const std::function<Status(SegmentTask&)>& take) {
  size_t begun = 0;
  uint64_t weights = 0;
  for (const SegmentTask& task : tasks) weights += task.weights();
  SegmentRun run{*problem_.source, &feedback_, *problem_.control};
  run.group_weights = kStripsAtOnce * kStripWeights;
  run.next = [&]() -> Result<std::optional<SegmentTask>> {
    return begun < tasks.size() ? std::optional(std::move(tasks[begun++])) : std::nullopt;
  };
  run.take = take;
  return run.run(weights);
}

// Streams that cost alike beside their weights.
std::string RateSamples::stream_kind(const FittedTensor& tensor, const PictureSettings& settings) {
  return fmt::format("{} {} {}", tensor.plan->codec, layout_name(settings.layout), settings.bit_depth);
}

// The two halves of a strip, in whole blocks; none where it has no two.
std::optional<std::array<RateSamples::Strip, 2>> RateSamples::halves(const Strip& placed,
                                                                     const PictureSettings& settings) const {
  if (settings.lines == Lines::kRows) return std::nullopt;
  const uint64_t unit = rows_of_block(settings);
  const uint64_t rows = align_up(placed.rows / 2, unit);
  if (rows == 0 || rows >= placed.rows) return std::nullopt;
  return std::array<Strip, 2>{
      Strip{placed.tensor, placed.matrix, placed.first_row, rows},
      Strip{placed.tensor, placed.matrix, placed.first_row + rows, placed.rows - rows}};
}

// What a stream costs beside its weights: parameter sets, headers, an encoder's signature, contexts that have to learn.
// Strips have more streams per weight than the archive will have, so that it counts; it is what some strips cost more in two
// halves than whole.
Result<double> RateSamples::overhead(const std::string& kind, const std::vector<TensorSettings>& settings) {
  const auto found = overheads_.find(kind);
  if (found != overheads_.end()) return found->second;
  std::vector<Strip> own;
  for (const Strip& strip : strips_) {
    const FittedTensor& tensor = tensors_[strip.tensor];
    const PictureSettings& pictures = settings[tensor.index].pictures;
    const Strip placed = in_blocks(strip, pictures);
    if (stream_kind(tensor, pictures) == kind && halves(placed, pictures)) own.push_back(placed);
  }
  std::vector<SegmentTask> tasks;
  std::vector<double> signs;  // of each task: +1 of a half, -1 of a whole strip
  const auto add = [&](const Strip& strip, double sign) -> Status {
    LLMC_ASSIGN_OR_RETURN(std::vector<SegmentTask> parts,
                          pieces(strip, settings[tensors_[strip.tensor].index].pictures));
    signs.insert(signs.end(), parts.size(), sign);
    std::ranges::move(parts, std::back_inserter(tasks));
    return Status::ok();
  };
  const size_t count = std::min(own.size(), kHalvedStrips);
  for (size_t i = 0; i < count; ++i) {
    const Strip& strip = own[(2 * i + 1) * own.size() / (2 * count)];
    LLMC_RETURN_IF_ERROR(add(strip, -1));
    const auto both = halves(strip, settings[tensors_[strip.tensor].index].pictures);
    for (const Strip& half : *both) LLMC_RETURN_IF_ERROR(add(half, 1));
  }
  double bytes = 0, streams = 0;
  size_t taken = 0;
  LLMC_RETURN_IF_ERROR(run(std::move(tasks), [&](SegmentTask& task) {
    bytes += signs[taken] * static_cast<double>(task.coded.stream.size());
    streams += signs[taken++];
    return Status::ok();
  }));
  return overheads_[kind] = streams > 0 ? std::max(0.0, bytes / streams) : 0.0;
}

Result<std::vector<RateSamples::TensorFacts>> RateSamples::facts(
    const std::vector<TensorSettings>& settings) {
  std::vector<TensorFacts> all;
  for (const FittedTensor& tensor : tensors_) {
    const PictureSettings& pictures = settings[tensor.index].pictures;
    TensorFacts facts;
    if (!whole_) {
      LLMC_ASSIGN_OR_RETURN(const Codec* codec, problem_.codecs->get(tensor.plan->codec));
      LLMC_ASSIGN_OR_RETURN(facts.overhead, overhead(stream_kind(tensor, pictures), settings));
      LLMC_ASSIGN_OR_RETURN(const TensorRecipe recipe, tensor.recipe(tensor.shape.rows, pictures, *codec));
      facts.streams = tensor.shape.matrices * recipe.segments_per_matrix();
      facts.log2_step = log2_step_of(pictures, codec->info());
      facts.flat_rate = codec->info().quality.fixed_rate || codec->info().name == "raw";
      for (uint64_t m = 0; m < tensor.shape.matrices; ++m)
        facts.expected.add(
            expected_rows(tensor, m, {0, tensor.shape.rows}, facts.log2_step, facts.flat_rate));
    }
    all.push_back(facts);
  }
  return all;
}

void RateSamples::Totals::add(const Totals& other) {
  weights += other.weights;
  bytes += other.bytes;
  seconds += other.seconds;
  energies.signal += other.energies.signal;
  energies.error += other.energies.error;
  expected.add(other.expected);
}

void RateSamples::TensorEstimate::add_like(const Totals& like, const ExpectedRows& expected) {
  const auto part = [](double found, double of, double wanted) { return of > 0 ? wanted * found / of : 0; };
  bytes += part(like.bytes, like.expected.bytes, expected.bytes);
  energies.signal += part(like.energies.signal, like.expected.signal, expected.signal);
  energies.error += part(like.energies.error, like.expected.error, expected.error);
}

std::vector<RateSamples::TensorEstimate> RateSamples::exact_estimates(
    const std::vector<Totals>& strips) const {
  std::vector<TensorEstimate> estimates(tensors_.size());
  for (size_t s = 0; s < strips_.size(); ++s) {
    TensorEstimate& tensor = estimates[strips_[s].tensor];
    tensor.bytes += strips[s].bytes;
    tensor.energies.signal += strips[s].energies.signal;
    tensor.energies.error += strips[s].energies.error;
  }
  for (TensorEstimate& tensor : estimates)
    tensor.bytes = static_cast<double>(align_up(std::llround(tensor.bytes), 8));
  return estimates;
}

// The rows around a strip come to the same part of what is expected of them as the strip did. All others do as the strips
// of their kind did, of tensors that differ by the layer's number only; a kind on which no strip fell, as all strips.
std::vector<RateSamples::TensorEstimate> RateSamples::spread_estimates(
    const std::vector<Totals>& strips, const std::vector<TensorFacts>& facts) const {
  constexpr double kMeanPadding = 3.5, kLeastBytes = 0.001;  // of a weight
  std::map<std::string, Totals> kinds;
  Totals all;
  std::vector<TensorEstimate> estimates(tensors_.size());
  std::vector<ExpectedRows> told(tensors_.size());  // of rows around strips
  for (size_t s = 0; s < strips_.size(); ++s) {
    const size_t t = strips_[s].tensor;
    const ExpectedRows around = expected_rows(tensors_[t], strips_[s].matrix, strips_[s].stands_for,
                                              facts[t].log2_step, facts[t].flat_rate);
    estimates[t].add_like(strips[s], around);
    told[t].add(around);
    kinds[kind_of(tensors_[t].plan->name)].add(strips[s]);
    all.add(strips[s]);
  }
  for (size_t t = 0; t < tensors_.size(); ++t) {
    const Totals& kind = kinds[kind_of(tensors_[t].plan->name)];
    const ExpectedRows& whole = facts[t].expected;
    estimates[t].add_like(kind.weights > 0 ? kind : all, {std::max(0.0, whole.bytes - told[t].bytes),
                                                          std::max(0.0, whole.signal - told[t].signal),
                                                          std::max(0.0, whole.error - told[t].error)});
    const double least = kLeastBytes * static_cast<double>(tensors_[t].shape.weights());
    estimates[t].bytes = std::max(least, estimates[t].bytes) +
                         facts[t].overhead * static_cast<double>(facts[t].streams) + kMeanPadding;
  }
  return estimates;
}

double Energies::snr_db() const {
  if (error == 0) return std::numeric_limits<double>::infinity();
  return signal > 0 ? -10 * std::log10(error / signal) : -std::numeric_limits<double>::infinity();
}

double predicted_seconds(const std::vector<FittedTensor>& tensors, double seconds_per_weight,
                         unsigned threads) {
  double largest = 0;  // group of segments: it is coded by one thread
  for (const FittedTensor& tensor : tensors)
    largest = std::max<double>(largest, std::min(tensor.shape.rows * tensor.shape.cols, kWeightsAtOnce));
  return seconds_per_weight * std::max(static_cast<double>(total_weights(tensors)) / threads, largest);
}

}  // namespace llmcodec
