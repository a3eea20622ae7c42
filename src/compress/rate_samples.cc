// SPDX-License-Identifier: BSD-3-Clause
#include "compress/rate_samples.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/checked_math.h"
#include "base/ordered_run.h"
#include "compress/archive_plan.h"
#include "quant/tensor_row_reader.h"

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
constexpr size_t kPiecesAtOnce = 8;  // as many pictures as compress codes together
// What contexts cost until they know the weights: 1,400 to 2,300 bits a picture
// (docs/decisions/010-spectral-layout.md).
constexpr double kLearningBytes = 230;
constexpr uint64_t kMaxLoopBytes = 256 << 20;  // of closed-loop factors kept between evaluations

uint64_t total_weights(const std::vector<TensorJob>& jobs) {
  uint64_t weights = 0;
  for (const TensorJob& job : jobs) weights += job.shape.weights();
  return weights;
}

// Bytes of an outlier: its index and its exact value.
uint64_t outlier_bytes(const TensorInfo& info) {
  const DtypeInfo& dtype = dtype_info(info.dtype);
  return (info.elements() >> 32 != 0 ? 8 : 4) + (dtype.block_elements == 1 ? dtype.block_bytes : 4);
}

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

struct RateSamples::Piece {
  size_t job = 0;
  const Codec* codec = nullptr;
  std::shared_ptr<const CodedTensor> stages;
  uint64_t matrix = 0, first_row = 0;
  PictureRange range;
  uint64_t weights = 0;
  // Results:
  uint64_t stream_bytes = 0, outliers = 0;
  ErrorMetrics metrics;
  double seconds = 0;
};

struct RateSamples::Totals {
  double weights = 0, bytes = 0;
  ErrorMetrics metrics;
  void add(const Piece& piece, double piece_bytes) {
    weights += static_cast<double>(piece.weights);
    bytes += piece_bytes;
    metrics.merge(piece.metrics);
  }
};

struct RateSamples::JobFacts {
  double overhead = 0;  // bytes of a stream that are not there for its weights; 0 when everything is coded
  double outlier_bytes = 0;
  uint64_t streams = 0;  // in the archive
};

RateSamples::RateSamples(const RateSearch& search, SampleDensity density) : search_(search) {
  const std::vector<TensorJob>& jobs = *search.jobs;
  const uint64_t total = total_weights(jobs);
  const bool coarse = density == SampleDensity::kCoarse;
  whole_ = total <= (coarse ? kMinStripWeights * kMinCoarseStrips : kWholeWeights);
  if (whole_) {
    for (size_t j = 0; j < jobs.size(); ++j) {
      for (uint64_t m = 0; m < jobs[j].shape.matrices; ++m) strips_.push_back({j, m, 0, jobs[j].shape.rows});
    }
  } else {
    uint64_t count = std::clamp(total / kSampledPart / kStripWeights, kMinStrips, kMaxStrips);
    if (coarse) count = std::max(kMinCoarseStrips, count / kCoarsePart);
    spread_strips(count, std::clamp(total / kCoarsePart / count, kMinStripWeights, kStripWeights));
  }
  for (const Strip& strip : strips_) weights_ += strip.rows * jobs[strip.job].shape.cols;
}

// Evenly spaced over all coded weights, so that every weight counts alike and no strip needs a factor.
void RateSamples::spread_strips(uint64_t count, uint64_t strip_weights) {
  const std::vector<TensorJob>& jobs = *search_.jobs;
  const double spacing = static_cast<double>(total_weights(jobs)) / static_cast<double>(count);
  uint64_t begin = 0;
  size_t j = 0;
  for (uint64_t i = 0; i < count; ++i) {
    const auto at = static_cast<uint64_t>((static_cast<double>(i) + 0.5) * spacing);
    while (at >= begin + jobs[j].shape.weights()) begin += jobs[j++].shape.weights();
    const MatrixShape& shape = jobs[j].shape;
    const uint64_t rows = std::min(align_up(ceil_div(strip_weights, shape.cols), 32), shape.rows);
    const uint64_t inside = at - begin, matrix = shape.rows * shape.cols;
    const uint64_t row = std::min(inside % matrix / shape.cols, shape.rows - rows);
    strips_.push_back({j, inside / matrix, row, rows});
  }
}

Status RateSamples::add_pieces(const Strip& strip, std::vector<Piece>* pieces) const {
  const TensorJob& job = (*search_.jobs)[strip.job];
  LLMC_ASSIGN_OR_RETURN(const Codec* codec, search_.codecs->get(job.plan->codec));
  // Whole blocks, so that a strip has no other edges than its picture would have.
  Strip own = strip;
  const uint64_t unit = job.plan->layout == "spectral" ? std::max(1u, job.plan->outputs_per_block) : 1;
  if (own.rows < job.shape.rows) own.rows = std::min(align_up(own.rows, unit), job.shape.rows);
  own.first_row = std::min(own.first_row, job.shape.rows - own.rows);
  LLMC_ASSIGN_OR_RETURN(CodedTensor made, make_stages(job, own.rows, *codec));
  const auto stages = std::make_shared<const CodedTensor>(std::move(made));
  const uint64_t count = stages->pictures_per_matrix();
  for (uint64_t first = 0; first < count; first += stages->codec.pictures_per_segment) {
    Piece piece{strip.job, codec, stages, own.matrix, own.first_row, {first, 0}, 0, 0, 0, {}, 0};
    piece.range.count = std::min<uint64_t>(stages->codec.pictures_per_segment, count - first);
    pieces->push_back(std::move(piece));
  }
  return Status::ok();
}

Result<const Feedback*> RateSamples::feedback(const TensorJob& job, uint64_t matrix,
                                              std::unique_ptr<Feedback>* own) {
  if (!job.hessian_group) return static_cast<const Feedback*>(nullptr);
  const std::pair key{job.index, matrix};
  {
    const std::lock_guard lock(mutex_);
    const auto found = loops_.find(key);
    if (found != loops_.end()) return static_cast<const Feedback*>(found->second.get());
  }
  LLMC_ASSIGN_OR_RETURN(*own, make_feedback(job, matrix, *search_.moments));
  const Feedback* made = own->get();
  const uint64_t bytes = 4 * job.shape.cols * job.shape.cols;
  const std::lock_guard lock(mutex_);
  if (loop_bytes_ + bytes <= kMaxLoopBytes && !loops_.contains(key)) {
    loop_bytes_ += bytes;
    loops_[key] = std::move(*own);
  }
  return made;
}

// How many of these pieces are coded side by side: spectral ones (picture_coder.h), few enough that every
// thread gets some, and no closed loops, whose matrices are large.
size_t RateSamples::group_size(std::span<const Piece> pieces, size_t enough) const {
  const auto alone = [&](const Piece& piece) {
    return !piece.stages->is_spectral() || (*search_.jobs)[piece.job].hessian_group.has_value();
  };
  const auto until = pieces.first(std::min(pieces.size(), std::clamp<size_t>(enough, 1, kPiecesAtOnce)));
  const auto count = std::ranges::find_if(until, alone) - until.begin();
  return std::max<size_t>(static_cast<size_t>(count), 1);
}

Status RateSamples::code(std::span<Piece> group) {
  if (search_.control->cancelled && search_.control->cancelled())
    return error(ErrorKind::kInterrupted, "interrupted");
  std::vector<std::unique_ptr<TensorRowReader>> readers;
  std::vector<std::unique_ptr<Feedback>> own(group.size());
  std::vector<SegmentEncoding> work;
  for (size_t i = 0; i < group.size(); ++i) {
    const Piece& piece = group[i];
    const TensorJob& job = (*search_.jobs)[piece.job];
    readers.push_back(std::make_unique<TensorRowReader>(*search_.source, job.index, job.shape, piece.matrix));
    LLMC_ASSIGN_OR_RETURN(const Feedback* loop, feedback(job, piece.matrix, &own[i]));
    const MatrixContext matrix{readers[i].get(), &job.scales[piece.matrix], job.order[piece.matrix], loop,
                               piece.first_row};
    work.push_back({piece.stages.get(), piece.codec, matrix, piece.range});
  }
  const auto start = std::chrono::steady_clock::now();
  encode_pictures(work);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (size_t i = 0; i < group.size(); ++i) {
    if (!work[i].status.is_ok())
      return std::move(work[i].status).error().in_tensor((*search_.jobs)[group[i].job].plan->name);
    group[i].seconds = seconds / static_cast<double>(group.size());
    group[i].stream_bytes = work[i].coded.stream.size();
    group[i].outliers = work[i].coded.outliers.size();
    group[i].metrics = work[i].coded.metrics;
    group[i].weights = work[i].coded.metrics.count();
  }
  return Status::ok();
}

Result<RateEstimate> RateSamples::evaluate(const std::function<void(uint64_t)>& progress) {
  std::vector<Piece> pieces;
  for (const Strip& strip : strips_) LLMC_RETURN_IF_ERROR(add_pieces(strip, &pieces));
  using Group = std::span<Piece>;
  OrderedRun<Group> run;
  const size_t enough = pieces.size() / thread_count(search_.control->threads);
  std::span<Piece> left = pieces;
  run.make = [&]() -> Result<std::optional<Group>> {
    if (left.empty()) return std::optional<Group>();
    const Group group = left.first(group_size(left, enough));
    left = left.subspan(group.size());
    return std::optional(group);
  };
  run.work = [&](Group& group) { return code(group); };
  run.take = [&](Group& group) {
    for (const Piece& piece : group) progress(piece.weights);
    return Status::ok();
  };
  LLMC_RETURN_IF_ERROR(run.run(search_.control->threads));
  return extrapolate(pieces);
}

// What a stream costs beside its weights: parameter sets, headers, an encoder's signature, contexts that have
// to learn. From a picture of zeros; strips have more streams per weight than the archive will have.
Result<double> RateSamples::overhead(const TensorJob& job, const Codec* codec) {
  const std::string key = job.plan->codec + job.plan->layout + std::to_string(job.plan->bit_depth);
  const auto found = overheads_.find(key);
  if (found != overheads_.end()) return found->second;
  constexpr uint64_t kSide = 128;
  TensorJob blank;
  blank.plan = job.plan;
  blank.shape = {1, kSide, kSide};
  MatrixScales scales;
  scales.spec = {ScaleKind::kTensor, 0};
  scales.rows = scales.cols = kSide;
  blank.scales = {scales};
  blank.order = {{}};
  LLMC_ASSIGN_OR_RETURN(CodedTensor stages, make_stages(blank, kSide, *codec));
  stages.scales.spec = scales.spec;
  ZeroRows zeros(kSide, kSide);
  const MatrixContext matrix{&zeros, &blank.scales[0], {}, nullptr, 0};
  const auto coded = encode_pictures(stages, codec, matrix, {0, 1});
  // A codec of fixed rate has no picture for nothing; neither has one that refuses flat pictures.
  const bool meaningful = coded.is_ok() && !codec->info().quality.fixed_rate &&
                          !(codec->info().quality.lossless_only && !stages.is_spectral());
  const double learning = codec->info().name == "vvc" ? kLearningBytes : 0;
  return overheads_[key] = meaningful ? static_cast<double>(coded->stream.size()) + learning : 0.0;
}

Result<std::vector<RateSamples::JobFacts>> RateSamples::facts() {
  std::vector<JobFacts> all;
  for (const TensorJob& job : *search_.jobs) {
    JobFacts facts;
    facts.outlier_bytes = static_cast<double>(outlier_bytes(search_.source->tensors()[job.index]));
    if (!whole_) {
      LLMC_ASSIGN_OR_RETURN(const Codec* codec, search_.codecs->get(job.plan->codec));
      LLMC_ASSIGN_OR_RETURN(facts.overhead, overhead(job, codec));
      LLMC_ASSIGN_OR_RETURN(const CodedTensor stages, make_stages(job, job.shape.rows, *codec));
      facts.streams =
          job.shape.matrices * ceil_div(stages.pictures_per_matrix(), stages.codec.pictures_per_segment);
    }
    all.push_back(facts);
  }
  return all;
}

Result<RateEstimate> RateSamples::extrapolate(const std::vector<Piece>& pieces) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<JobFacts> facts, this->facts());
  RateEstimate estimate;
  std::vector<Totals> own(facts.size());
  Totals all;
  double seconds = 0;
  for (const Piece& piece : pieces) {
    const JobFacts& f = facts[piece.job];
    const double content = std::max(0.0, static_cast<double>(piece.stream_bytes) - f.overhead) +
                           static_cast<double>(piece.outliers) * f.outlier_bytes;
    own[piece.job].add(piece, content);
    all.add(piece, content);
    seconds += piece.seconds;
  }
  estimate.metrics = all.metrics;
  estimate.seconds_per_weight = seconds / all.weights;
  std::vector<double> bytes = whole_ ? exact_bytes_of(own) : spread_bytes(own, facts);
  // The number of shards, and with it the headers, follows from what tensors come to.
  for (size_t j = 0; j < bytes.size(); ++j)
    (*search_.plans)[(*search_.jobs)[j].index].predicted_bytes =
        static_cast<uint64_t>(std::llround(bytes[j]));
  LLMC_ASSIGN_OR_RETURN(const uint64_t fixed, search_.fixed_bytes());
  estimate.bytes = static_cast<double>(fixed);
  for (size_t j = 0; j < bytes.size(); ++j) {
    estimate.bytes += bytes[j];
    estimate.tensor_bytes.push_back(static_cast<uint64_t>(std::llround(bytes[j])));
    estimate.tensor_errors.push_back(own[j].metrics);
  }
  return estimate;
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
                                              const std::vector<JobFacts>& facts) const {
  const std::vector<TensorJob>& jobs = *search_.jobs;
  struct Sampled {
    double weights = 0, bytes = 0;  // bytes at step_octaves 0
    void add(const Sampled& s) { weights += s.weights, bytes += s.bytes; }
  };
  std::map<std::string, Sampled> kinds;
  Sampled all;
  for (size_t j = 0; j < jobs.size(); ++j) {
    const Sampled strips{own[j].weights, own[j].bytes + own[j].weights * jobs[j].plan->step_octaves / 8};
    kinds[kind_of(jobs[j].plan->name)].add(strips);
    all.add(strips);
  }
  constexpr double kMeanPadding = 3.5, kLeastBytes = 0.001;  // of a weight
  std::vector<double> bytes;
  for (size_t j = 0; j < jobs.size(); ++j) {
    const Sampled& kind = kinds[kind_of(jobs[j].plan->name)];
    const Sampled& like = kind.weights > 0 ? kind : all;
    const double per_weight = like.bytes / like.weights - jobs[j].plan->step_octaves / 8;
    bytes.push_back(std::max(kLeastBytes, per_weight) * static_cast<double>(jobs[j].shape.weights()) +
                    facts[j].overhead * static_cast<double>(facts[j].streams) + kMeanPadding);
  }
  return bytes;
}

double predicted_seconds(const RateSearch& search, double seconds_per_weight, unsigned threads) {
  double largest = 0;  // segment: it is coded by one thread
  for (const TensorJob& job : *search.jobs) {
    const double matrix = static_cast<double>(job.shape.rows * job.shape.cols);
    largest = std::max(largest, std::min(matrix, 4.0 * (1 << 20)));
  }
  const double weights = static_cast<double>(total_weights(*search.jobs));
  return seconds_per_weight * std::max(weights / threads, largest);
}

}  // namespace llmcodec
