// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>

#include "archive/archive_writer.h"
#include "archive/carry_over.h"
#include "archive/packing.h"
#include "base/ordered_run.h"
#include "compress/archive_plan.h"
#include "compress/compress_state.h"
#include "llmcodec/model.h"
#include "quant/tensor_row_reader.h"

namespace llmcodec {
namespace {

// One segment of one matrix.
struct Segment {
  const TensorJob* job = nullptr;
  const Codec* codec = nullptr;
  std::shared_ptr<const CodedTensor> stages;
  std::shared_ptr<LazyFeedback> feedback;
  uint64_t matrix = 0;
  PictureRange range;
  bool first = false, last = false;  // of the tensor
  CodedPictures coded;

  // About how many: padding included.
  uint64_t weights() const {
    return job->shape.rows * job->shape.cols * range.count / stages->pictures_per_matrix();
  }
};

// Makes the segments of all tensors in order.
class SegmentList {
 public:
  explicit SegmentList(CompressRun& run, const ArchiveWriter& writer) : run_(run), writer_(writer) {}

  Result<std::optional<Segment>> next() {
    LLMC_RETURN_IF_ERROR(run_.check_cancelled());
    if (job_ == run_.jobs.size()) return std::optional<Segment>();
    if (!stages_ || (matrix_ == job().shape.matrices && first_ == 0)) {
      LLMC_ASSIGN_OR_RETURN(const bool more, next_tensor());
      if (!more) return std::optional<Segment>();
    }
    if (first_ == 0) feedback_ = std::make_shared<LazyFeedback>();
    const uint64_t pictures = stages_->pictures_per_matrix();
    Segment segment{&job(), codec_, stages_, feedback_, matrix_, {}, false, false, {}};
    segment.range = {first_, std::min<uint64_t>(stages_->codec.pictures_per_segment, pictures - first_)};
    segment.first = matrix_ == 0 && first_ == 0;
    first_ += segment.range.count;
    if (first_ == pictures) {
      first_ = 0;
      ++matrix_;
    }
    segment.last = matrix_ == job().shape.matrices;
    return std::optional<Segment>(std::move(segment));
  }

 private:
  const TensorJob& job() const { return run_.jobs[job_]; }

  Result<bool> next_tensor() {
    do {
      job_ = started_ ? job_ + 1 : 0;
      started_ = true;
      if (job_ == run_.jobs.size()) return false;
    } while (writer_.is_done(job().plan->name));
    LLMC_ASSIGN_OR_RETURN(codec_, run_.codecs.get(job().plan->codec));
    LLMC_ASSIGN_OR_RETURN(CodedTensor stages, make_stages(job(), job().shape.rows, *codec_));
    stages_ = std::make_shared<const CodedTensor>(std::move(stages));
    matrix_ = 0;
    first_ = 0;
    return true;
  }

  CompressRun& run_;
  const ArchiveWriter& writer_;
  size_t job_ = 0;
  bool started_ = false;
  const Codec* codec_ = nullptr;
  std::shared_ptr<const CodedTensor> stages_;
  std::shared_ptr<LazyFeedback> feedback_;
  uint64_t matrix_ = 0, first_ = 0;
};

// Pictures of the usual size that are coded together: as many as the narrower vectors have lanes
// (vvc/residual/lanes/write_32x32_lanes.h); sixteen would be a tenth faster and take twice the memory.
constexpr uint64_t kGroupWeights = 8 * kDefaultPictureWeights;

// Consecutive spectral segments, of one tensor or of several; or one spatial segment, which gains nothing.
using Group = std::vector<Segment>;

Result<std::optional<Group>> next_group(const CompressRun& run, SegmentList& segments) {
  // Small enough that every thread gets some.
  const uint64_t enough =
      std::min(run.coded_weights() / thread_count(run.options.control.threads), kGroupWeights);
  Group group;
  for (uint64_t weights = 0; group.empty() || (weights < enough && group.back().stages->is_spectral());) {
    LLMC_ASSIGN_OR_RETURN(std::optional<Segment> segment, segments.next());
    if (!segment) break;
    weights += segment->weights();
    if (segment->job->hessian_group && segment->range.first == 0)  // a closed loop is that large itself
      weights += segment->job->shape.cols * segment->job->shape.cols;
    group.push_back(*std::move(segment));
  }
  return group.empty() ? std::nullopt : std::optional(std::move(group));
}

Status encode_group(const CompressRun& run, Group& group) {
  std::vector<std::unique_ptr<TensorRowReader>> readers;
  std::vector<SegmentEncoding> work;
  for (Segment& segment : group) {
    const TensorJob& job = *segment.job;
    LLMC_ASSIGN_OR_RETURN(const Feedback* feedback, segment.feedback->get(job, segment.matrix, run.moments));
    readers.push_back(
        std::make_unique<TensorRowReader>(*run.model.source, job.index, job.shape, segment.matrix));
    const MatrixContext matrix{readers.back().get(), &job.scales[segment.matrix], job.order[segment.matrix],
                               feedback, 0};
    work.push_back({segment.stages.get(), segment.codec, matrix, segment.range});
  }
  encode_pictures(work);
  for (size_t i = 0; i < group.size(); ++i) {
    const TensorJob& job = *group[i].job;
    if (!work[i].status.is_ok())
      return std::move(work[i].status)
          .error()
          .in_tensor(job.plan->name)
          .in_file(run.model.source->file(job.index));
    group[i].coded = std::move(work[i].coded);
  }
  return Status::ok();
}

// Takes segments over in order and writes the parts of each tensor.
class TensorWriter {
 public:
  TensorWriter(CompressRun& run, const ArchivePlan& plan, ArchiveWriter& writer)
      : run_(run), plan_(plan), writer_(writer) {}

  Status take(Segment& segment) {
    const TensorJob& job = *segment.job;
    if (segment.first) LLMC_RETURN_IF_ERROR(begin(segment));
    LLMC_RETURN_IF_ERROR(writer_.append(segment.coded.stream));
    stages_.codec.segment_bytes.push_back(segment.coded.stream.size());
    samples_.push_back(segment.coded.samples_xxh3_128);
    metrics_.merge(segment.coded.metrics);
    const uint64_t base = segment.matrix * job.shape.rows * job.shape.cols;
    for (size_t i = 0; i < segment.coded.outliers.size(); ++i)
      outliers_.add(base + segment.coded.outliers.indices[i], segment.coded.outliers.values[i]);
    run_.add_progress("encode", segment.coded.metrics.count(), job.plan->name);
    return segment.last ? end(job) : Status::ok();
  }

 private:
  Status begin(const Segment& segment) {
    const TensorJob& job = *segment.job;
    stages_ = *segment.stages;
    samples_.clear();
    metrics_ = {};
    outliers_ = {};
    LLMC_RETURN_IF_ERROR(writer_.begin_tensor(job.plan->name, plan_.shard_of[job.index]));
    for (const ScalePart& part : job.scale_parts) LLMC_RETURN_IF_ERROR(write_part(part.name, part.bytes));
    return writer_.begin_part("bitstream");
  }

  Status write_part(const std::string& name, std::span<const std::byte> bytes) {
    LLMC_RETURN_IF_ERROR(writer_.begin_part(name));
    LLMC_RETURN_IF_ERROR(writer_.append(bytes));
    return writer_.end_part();
  }

  Status end(const TensorJob& job) {
    LLMC_RETURN_IF_ERROR(writer_.end_part());
    const TensorInfo& info = run_.model.source->tensors()[job.index];
    if (!outliers_.empty()) LLMC_RETURN_IF_ERROR(write_outliers(info));
    TensorRecord record{
        dtype_info(info.dtype).name, info.shape, job.shape.matrices, job.shape.rows,  job.shape.cols,
        stages_to_json(stages_),     {},         samples_,           outliers_.size()};
    run_.measured[info.name] = metrics_;
    return writer_.end_tensor(std::move(record), metrics_.sums());
  }

  // All indices, then all values.
  Status write_outliers(const TensorInfo& info) {
    const Dtype dtype = needs_verbatim(info.dtype) ? Dtype::kF32 : info.dtype;
    std::vector<std::byte> content;
    const auto add = [&](std::span<const std::byte> bytes) {
      content.insert(content.end(), bytes.begin(), bytes.end());
    };
    if (info.elements() >> 32 != 0) {
      add(std::as_bytes(std::span(outliers_.indices)));
    } else {
      const std::vector<uint32_t> narrow(outliers_.indices.begin(), outliers_.indices.end());
      add(std::as_bytes(std::span(narrow)));
    }
    const size_t indices = content.size();
    content.resize(indices + *dtype_bytes(dtype, outliers_.size()));
    LLMC_RETURN_IF_ERROR(from_f32(dtype, outliers_.values, std::span(content).subspan(indices)));
    return write_part("outliers", pack(content));
  }

  CompressRun& run_;
  const ArchivePlan& plan_;
  ArchiveWriter& writer_;
  CodedTensor stages_;
  std::vector<std::string> samples_;  // their checksums, by segment
  ErrorMetrics metrics_;
  OutlierList outliers_;
};

Status encode_all(CompressRun& run, const ArchivePlan& plan, ArchiveWriter& writer) {
  SegmentList segments(run, writer);
  TensorWriter tensors(run, plan, writer);
  OrderedRun<Group> work;
  work.make = [&] { return next_group(run, segments); };
  work.work = [&](Group& group) { return encode_group(run, group); };
  work.take = [&](Group& group) -> Status {
    for (Segment& segment : group) LLMC_RETURN_IF_ERROR(tensors.take(segment));
    return Status::ok();
  };
  return work.run(run.options.control.threads);
}

Status append_all(const TensorSource& source, size_t index, ArchiveWriter& writer) {
  return source.visit(index, source.byte_size(index),
                      [&](std::span<const std::byte> piece) { return writer.append(piece); });
}

Status write_exact_tensor(const TensorSource& source, size_t index, size_t shard, ArchiveWriter& writer) {
  const TensorInfo& info = source.tensors()[index];
  if (!needs_verbatim(info.dtype)) {
    LLMC_RETURN_IF_ERROR(writer.begin_exact(info, shard));
    LLMC_RETURN_IF_ERROR(append_all(source, index, writer));
    return writer.end_exact();
  }
  LLMC_RETURN_IF_ERROR(writer.begin_tensor(info.name, shard));
  LLMC_RETURN_IF_ERROR(writer.begin_part("data"));
  LLMC_RETURN_IF_ERROR(append_all(source, index, writer));
  LLMC_RETURN_IF_ERROR(writer.end_part());
  return writer.end_tensor(
      {dtype_info(info.dtype).name, info.shape, 1, info.elements(), 1, {verbatim_stage()}, {}, {}});
}

Status write_exact_tensors(CompressRun& run, const ArchivePlan& plan, ArchiveWriter& writer) {
  const TensorSource& source = *run.model.source;
  if (!run.gguf_header.empty() && !writer.is_done(kGgufHeaderName))
    LLMC_RETURN_IF_ERROR(writer.write_own(kGgufHeaderName, run.gguf_header, 0));
  for (size_t index : plan.exact_order) {
    const TensorInfo& info = source.tensors()[index];
    if (writer.is_done(info.name)) continue;
    LLMC_RETURN_IF_ERROR(run.check_cancelled());
    LLMC_RETURN_IF_ERROR(write_exact_tensor(source, index, plan.shard_of[index], writer));
  }
  return Status::ok();
}

Status write_archive(CompressRun& run, const ArchivePlan& plan, ArchiveWriter& writer) {
  LLMC_RETURN_IF_ERROR(encode_all(run, plan, writer));
  return write_exact_tensors(run, plan, writer);
}

// Errors of the tensors that an interrupted run had finished.
void recall_metrics(const ArchiveWriter& writer, CompressRun& run) {
  for (const auto& [name, memo] : writer.memos()) {
    const bool numbers =
        memo.is_array() && std::ranges::all_of(memo, [](const auto& v) { return v.is_number(); });
    const auto metrics =
        ErrorMetrics::from_sums(numbers ? memo.get<std::vector<double>>() : std::vector<double>());
    if (metrics) run.measured[name] = *metrics;
  }
  run.resumed = !writer.memos().empty();
}

Result<CompressReport> run_compress(const CompressOptions& options) {
  LLMC_ASSIGN_OR_RETURN(std::unique_ptr<CompressRun> run, CompressRun::prepare(options));
  LLMC_RETURN_IF_ERROR(run->choose_steps());
  LLMC_ASSIGN_OR_RETURN(ArchivePlan plan, run->archive_plan());
  LLMC_RETURN_IF_ERROR(prepare_output(run->model, options.output, plan.layout));
  plan.layout.restart = options.restart;
  plan.layout.key = run->key();
  LLMC_ASSIGN_OR_RETURN(ArchiveWriter writer, ArchiveWriter::open(plan.layout));
  recall_metrics(writer, *run);
  const auto start = std::chrono::steady_clock::now();
  Status status = write_archive(*run, plan, writer);
  if (!status.is_ok()) {
    if (status.error().kind == ErrorKind::kInterrupted)
      writer.keep_for_resume();
    else
      std::filesystem::remove(plan.layout.journal_path);
    return std::move(status).error();
  }
  run->encode_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  LLMC_RETURN_IF_ERROR(carry_over_to_archive(run->model, options.output));
  LLMC_RETURN_IF_ERROR(writer.finish(run->description));
  return run->report(plan);
}

}  // namespace

Result<CompressReport> compress(const CompressOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  LLMC_ASSIGN_OR_RETURN(CompressReport report, run_compress(options));
  report.wall_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return report;
}

Result<PlanReport> plan(const CompressOptions& options) {
  LLMC_ASSIGN_OR_RETURN(std::unique_ptr<CompressRun> run, CompressRun::prepare(options));
  LLMC_RETURN_IF_ERROR(run->choose_steps());
  return run->plan_report();
}

}  // namespace llmcodec
