// SPDX-License-Identifier: BSD-3-Clause
#include "compress/rate_samples.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <numeric>

#include "base/checked_math.h"
#include "coding/picture_coder.h"
#include "quant/row_reader.h"

namespace llmcodec {
namespace {

// Up to so many, everything is coded: strips would be half of it, and miss by 1.7 % where rows differ (an
// embedding of 1.5 million weights by token rank).
constexpr uint64_t kWholeWeights = 8 << 20;
constexpr uint64_t kStripWeights = 1 << 17, kMinStripWeights = 1 << 14;
constexpr uint64_t kSampledPart = 16;  // one weight in so many is coded for a fine estimate
constexpr uint64_t kMinStrips = 32, kMaxStrips = 160;
constexpr uint64_t kCoarsePart =
    4;  // one fine strip, and at most one weight, in so many is coded for a coarse one
constexpr uint64_t kMinCoarseStrips = 6;
constexpr uint64_t kStripsAtOnce = 8;  // more would leave threads without work at the end
// What contexts cost until they know the weights: 1,400 to 2,300 bits a picture
// (docs/decisions/010-spectral-layout.md).
constexpr double kLearningBytes = 230;
constexpr uint64_t kMaxLoopBytes = 256 << 20;  // of closed-loop factors kept between evaluations

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

// Rows of zeros, to see what a stream costs that says nothing.
class ZeroRows final : public RowReader {
 public:
  ZeroRows(size_t rows, size_t cols) : rows_(rows), cols_(cols) {}
  size_t rows() const override { return rows_; }
  size_t cols() const override { return cols_; }
  Status read_rows(size_t, MatrixView<float> out) override {
    for (size_t r = 0; r < out.rows; ++r) std::ranges::fill(out.row(r), 0.0f);
    return Status::ok();
  }

 private:
  size_t rows_, cols_;
};

}  // namespace

RateSamples::RateSamples(const RateProblem& problem, SampleDensity density)
    : problem_(problem), tensors_(*problem.tensors), feedback_(*problem.moments, kMaxLoopBytes) {
  const uint64_t total = total_weights(tensors_);
  const bool coarse = density == SampleDensity::kCoarse;
  whole_ = total <= (coarse ? kMinStripWeights * kMinCoarseStrips : kWholeWeights);
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

// Evenly spaced over all coded weights, so that every weight counts alike and no strip needs a factor.
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
    const uint64_t row = std::min(inside % matrix / shape.cols, shape.rows - rows);
    strips_.push_back({t, inside / matrix, row, rows});
  }
}

Result<std::vector<SegmentTask>> RateSamples::pieces(const Strip& strip,
                                                     const PictureSettings& settings) const {
  const FittedTensor& tensor = tensors_[strip.tensor];
  LLMC_ASSIGN_OR_RETURN(const Codec* codec, problem_.codecs->get(tensor.plan->codec));
  // Whole blocks, so that a strip has no other edges than its picture would have.
  const bool in_blocks = settings.layout == Layout::kSpectral && settings.lines == Lines::kNone;
  const uint64_t unit = in_blocks ? settings.outputs_per_block : 1;
  const uint64_t rows = std::min(align_up(strip.rows, unit), tensor.shape.rows);
  const uint64_t first_row = std::min(strip.first_row, tensor.shape.rows - rows);
  LLMC_ASSIGN_OR_RETURN(TensorRecipe recipe, tensor.recipe(rows, settings, *codec));
  return segments_of(tensor, codec, std::make_shared<const TensorRecipe>(std::move(recipe)), strip.matrix,
                     first_row);
}

Result<RateEstimate> RateSamples::evaluate(std::vector<TensorSettings>* settings,
                                           const std::function<void(uint64_t)>& progress) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<TensorFacts> facts, this->facts(*settings));
  LLMC_ASSIGN_OR_RETURN(const std::vector<Totals> own, code(*settings, facts, progress));
  RateEstimate estimate;
  double seconds = 0, weights = 0;
  for (size_t t = 0; t < own.size(); ++t) {
    const Totals& totals = own[t];
    for (uint64_t name = 0; name <= tensors_[t].copies; ++name) estimate.metrics.merge(totals.metrics);
    estimate.tensor_errors.push_back(totals.metrics);
    seconds += totals.seconds;
    weights += totals.weights;
  }
  estimate.seconds_per_weight = seconds / weights;
  const std::vector<double> bytes = whole_ ? exact_bytes_of(own) : spread_bytes(own, facts, *settings);
  for (size_t t = 0; t < bytes.size(); ++t) {
    estimate.tensor_bytes.push_back(static_cast<uint64_t>(std::llround(bytes[t])));
    (*settings)[tensors_[t].index].predicted_bytes = estimate.tensor_bytes[t];
  }
  LLMC_ASSIGN_OR_RETURN(const uint64_t fixed, problem_.fixed_bytes->get(*settings));
  estimate.bytes = std::accumulate(bytes.begin(), bytes.end(), static_cast<double>(fixed));
  return estimate;
}

// Codes all strips; the results by tensor.
Result<std::vector<RateSamples::Totals>> RateSamples::code(const std::vector<TensorSettings>& settings,
                                                           const std::vector<TensorFacts>& facts,
                                                           const std::function<void(uint64_t)>& progress) {
  std::vector<SegmentTask> tasks;
  for (const Strip& strip : strips_) {
    LLMC_ASSIGN_OR_RETURN(std::vector<SegmentTask> own,
                          pieces(strip, settings[tensors_[strip.tensor].index].pictures));
    std::ranges::move(own, std::back_inserter(tasks));
  }
  std::vector<Totals> totals(tensors_.size());
  size_t begun = 0;
  SegmentRun run{*problem_.source, &feedback_, *problem_.control};
  run.group_weights = kStripsAtOnce * kStripWeights;
  run.next = [&]() -> Result<std::optional<SegmentTask>> {
    return begun < tasks.size() ? std::optional(tasks[begun++]) : std::nullopt;
  };
  run.take = [&](SegmentTask& task) {
    const auto t = static_cast<size_t>(task.tensor - tensors_.data());
    const auto stream = static_cast<double>(task.coded.stream.size());
    totals[t].weights += static_cast<double>(task.coded.metrics.count());
    totals[t].bytes += std::max(0.0, stream - facts[t].overhead) +
                       static_cast<double>(task.coded.outliers.size()) * facts[t].outlier_bytes;
    totals[t].seconds += task.seconds;
    totals[t].metrics.merge(task.coded.metrics);
    progress(task.coded.metrics.count());
    return Status::ok();
  };
  LLMC_RETURN_IF_ERROR(run.run(weights_));
  return totals;
}

// What a stream costs beside its weights: parameter sets, headers, an encoder's signature, contexts that have
// to learn. From a picture of zeros; strips have more streams per weight than the archive will have.
Result<double> RateSamples::overhead(const FittedTensor& tensor, PictureSettings settings) {
  settings.lines = Lines::kNone;
  const std::string key =
      tensor.plan->codec + layout_name(settings.layout) + std::to_string(settings.bit_depth);
  const auto found = overheads_.find(key);
  if (found != overheads_.end()) return found->second;
  constexpr uint64_t kSide = 128;
  LLMC_ASSIGN_OR_RETURN(const Codec* codec, problem_.codecs->get(tensor.plan->codec));
  MatrixScales scales;
  scales.spec = {ScaleKind::kTensor, 0};
  scales.rows = scales.cols = kSide;
  LLMC_ASSIGN_OR_RETURN(
      const TensorRecipe recipe,
      make_recipe(kSide, kSide, scales_stage({&scales, 1}, ColumnOrder::kNone), settings, *codec));
  ZeroRows zeros(kSide, kSide);
  const MatrixContext matrix{&zeros, &scales, {}, nullptr, 0};
  const auto coded = encode_pictures(recipe, codec, matrix, {0, 1});
  // A codec of fixed rate has no picture for nothing; neither has one that refuses flat pictures.
  const bool meaningful = coded.is_ok() && !codec->info().quality.fixed_rate &&
                          !(codec->info().quality.lossless_only && !recipe.is_spectral());
  const double learning = codec->info().name == "vvc" ? kLearningBytes : 0;
  return overheads_[key] = meaningful ? static_cast<double>(coded->stream.size()) + learning : 0.0;
}

Result<std::vector<RateSamples::TensorFacts>> RateSamples::facts(
    const std::vector<TensorSettings>& settings) {
  std::vector<TensorFacts> all;
  for (const FittedTensor& tensor : tensors_) {
    const PictureSettings& pictures = settings[tensor.index].pictures;
    TensorFacts facts;
    facts.outlier_bytes = static_cast<double>(outlier_bytes(problem_.source->tensors()[tensor.index]));
    if (!whole_) {
      LLMC_ASSIGN_OR_RETURN(const Codec* codec, problem_.codecs->get(tensor.plan->codec));
      LLMC_ASSIGN_OR_RETURN(facts.overhead, overhead(tensor, pictures));
      LLMC_ASSIGN_OR_RETURN(const TensorRecipe recipe, tensor.recipe(tensor.shape.rows, pictures, *codec));
      facts.streams = tensor.shape.matrices * recipe.segments_per_matrix();
    }
    all.push_back(facts);
  }
  return all;
}

std::vector<double> RateSamples::exact_bytes_of(const std::vector<Totals>& own) const {
  std::vector<double> bytes;
  for (const Totals& totals : own)
    bytes.push_back(static_cast<double>(align_up(std::llround(totals.bytes), 8)));
  return bytes;
}

// Tensors of one kind, which differ by the layer's number only, cost alike at equal steps, and an octave of
// the step is a bit. A kind on which no strip fell costs what all others do.
std::vector<double> RateSamples::spread_bytes(const std::vector<Totals>& own,
                                              const std::vector<TensorFacts>& facts,
                                              const std::vector<TensorSettings>& settings) const {
  constexpr double kMeanPadding = 3.5, kLeastBytes = 0.001;  // of a weight
  struct Sampled {
    double weights = 0, bytes = 0;  // bytes at step_octaves 0
    void add(const Sampled& s) { weights += s.weights, bytes += s.bytes; }
  };
  const auto saved = [&](size_t t) { return settings[tensors_[t].index].octaves / 8; };  // bytes of a weight
  std::map<std::string, Sampled> kinds;
  Sampled all;
  for (size_t t = 0; t < tensors_.size(); ++t) {
    const Sampled strips{own[t].weights, own[t].bytes + own[t].weights * saved(t)};
    kinds[kind_of(tensors_[t].plan->name)].add(strips);
    all.add(strips);
  }
  std::vector<double> bytes;
  for (size_t t = 0; t < tensors_.size(); ++t) {
    const Sampled& kind = kinds[kind_of(tensors_[t].plan->name)];
    const Sampled& like = kind.weights > 0 ? kind : all;
    const double per_weight = like.bytes / like.weights - saved(t);
    bytes.push_back(std::max(kLeastBytes, per_weight) * static_cast<double>(tensors_[t].shape.weights()) +
                    facts[t].overhead * static_cast<double>(facts[t].streams) + kMeanPadding);
  }
  return bytes;
}

double predicted_seconds(const std::vector<FittedTensor>& tensors, double seconds_per_weight,
                         unsigned threads) {
  double largest = 0;  // group of segments: it is coded by one thread
  for (const FittedTensor& tensor : tensors)
    largest = std::max<double>(largest, std::min(tensor.shape.rows * tensor.shape.cols, kWeightsAtOnce));
  return seconds_per_weight * std::max(static_cast<double>(total_weights(tensors)) / threads, largest);
}

}  // namespace llmcodec
