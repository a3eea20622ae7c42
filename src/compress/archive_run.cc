// SPDX-License-Identifier: BSD-3-Clause
#include "compress/archive_run.h"

#include <utility>

#include "archive/carry_over.h"
#include "base/output_guard.h"
#include "compress/compress_report.h"
#include "compress/exact_tensors.h"
#include "restore/restored_model.h"

namespace llmcodec {
namespace {

// The segments of those tensors that are not done, in order.
class SegmentList {
 public:
  SegmentList(std::span<const FittedTensor> tensors, const std::vector<TensorSettings>& settings,
              CodecSet& codecs, const ArchiveWriter& writer)
      : tensors_(tensors), settings_(settings), codecs_(codecs), writer_(writer) {}

  Result<std::optional<SegmentTask>> next() {
    while (task_ == tasks_.size()) {
      LLMC_ASSIGN_OR_RETURN(const bool more, next_matrix());
      if (!more) return std::optional<SegmentTask>();
    }
    return std::optional(std::move(tasks_[task_++]));
  }

 private:
  Result<bool> next_matrix() {
    while (tensor_ < tensors_.size() &&
           (matrix_ == tensor().shape.matrices || writer_.is_done(tensor().plan->name))) {
      ++tensor_;
      matrix_ = 0;
    }
    if (tensor_ == tensors_.size()) return false;
    LLMC_ASSIGN_OR_RETURN(const Codec* codec, codecs_.get(tensor().plan->codec));
    if (matrix_ == 0) {
      const PictureSettings& pictures = settings_[tensor().index].pictures;
      LLMC_ASSIGN_OR_RETURN(TensorRecipe recipe, tensor().recipe(tensor().shape.rows, pictures, *codec));
      recipe_ = std::make_shared<const TensorRecipe>(std::move(recipe));
    }
    tasks_ = segments_of(tensor(), codec, recipe_, matrix_++, 0);
    task_ = 0;
    return true;
  }
  const FittedTensor& tensor() const { return tensors_[tensor_]; }

  std::span<const FittedTensor> tensors_;
  const std::vector<TensorSettings>& settings_;
  CodecSet& codecs_;
  const ArchiveWriter& writer_;
  size_t tensor_ = 0;
  uint64_t matrix_ = 0;
  std::shared_ptr<const TensorRecipe> recipe_;
  std::vector<SegmentTask> tasks_;  // of one matrix
  size_t task_ = 0;
};

// All that decompress() and verify() would refuse before they decode a stream. The streams themselves were decoded
// when they were coded.
Status check_written(const ArchiveReader& written, const CompressOptions& options) {
  CodecSet codecs = CodecSet::for_decoding(options.control.environment);
  LLMC_ASSIGN_OR_RETURN(const RestoredModel model, RestoredModel::plan(written, {}));
  LLMC_RETURN_IF_ERROR(model.check_headers());
  for (const RestoredTensor& tensor : model.tensors()) {
    if (!tensor.coded) continue;
    auto opened = TensorDecoder::open(written, tensor.stored, codecs, /*verify=*/false);
    if (!opened.is_ok()) return std::move(opened).error().in_tensor(tensor.info.name);
  }
  return Status::ok();
}

// Of what is stored exactly the size is known before the first tensor is coded.
Status check_space_for_exact(const CompressState& state, const ArchivePlan& plan) {
  uint64_t bytes = 0;
  for (const size_t index : plan.exact_order) bytes += state.model.source->byte_size(index);
  return check_space(state.options.output, bytes);
}

}  // namespace

Result<std::unique_ptr<ArchiveRun>> ArchiveRun::open(CompressState& state,
                                                     std::vector<TensorSettings> settings) {
  LLMC_ASSIGN_OR_RETURN(ArchivePlan plan, plan_archive(state.content(), settings));
  LLMC_RETURN_IF_ERROR(check_output(state.model, state.inputs(), state.options.output, plan.layout));
  plan.layout.restart = state.options.restart || state.model.weight_files.empty();
  plan.layout.key = resume_key(state, settings);
  for (const auto& [name, file] : state.description.carried) plan.layout.other_files.push_back(name);
  LLMC_ASSIGN_OR_RETURN(ArchiveWriter writer, ArchiveWriter::open(plan.layout));
  Status space = writer.is_resumed() ? Status::ok() : check_space_for_exact(state, plan);
  if (!space.is_ok()) {
    writer.abandon();
    return std::move(space).error();
  }
  if (!writer.dropped().empty())
    state.notes.push_back("some of an interrupted run is coded again: " + writer.dropped());
  return std::unique_ptr<ArchiveRun>(
      new ArchiveRun(state, std::move(settings), std::move(plan), std::move(writer)));
}

ArchiveRun::ArchiveRun(CompressState& state, std::vector<TensorSettings> settings, ArchivePlan plan,
                       ArchiveWriter writer)
    : state_(state),
      settings_(std::move(settings)),
      plan_(std::move(plan)),
      writer_(std::move(writer)),
      tensors_(*state.model.source, plan_.shard_of, writer_),
      feedback_(state.moments, 0),
      progress_(state.options.control, total_weights(state.tensors)),
      resumed_(writer_.is_resumed()) {}

Status ArchiveRun::code(std::span<const FittedTensor> tensors) {
  SegmentList segments(tensors, settings_, state_.codecs, writer_);
  SegmentRun run{*state_.model.source, &feedback_, state_.options.control};
  run.next = [&] { return segments.next(); };
  run.take = [&](SegmentTask& task) {
    progress_.add("encode", task.coded.metrics.count(), task.tensor->plan->name);
    return tensors_.take(task);
  };
  return run.run(total_weights(tensors));
}

Status ArchiveRun::take(std::span<const FittedTensor> tensors, const CodedSegments& coded) {
  SegmentList segments(tensors, settings_, state_.codecs, writer_);
  while (true) {
    LLMC_RETURN_IF_ERROR(progress_.check_cancelled());
    LLMC_ASSIGN_OR_RETURN(std::optional<SegmentTask> task, segments.next());
    if (!task) return Status::ok();
    LLMC_ASSIGN_OR_RETURN(task->coded, coded(*task));
    progress_.add("assemble", task->coded.metrics.count(), task->tensor->plan->name);
    LLMC_RETURN_IF_ERROR(tensors_.take(*task));
  }
}

bool ArchiveRun::can_stand_anywhere(size_t index) const {
  return needs_verbatim(state_.model.source->tensors()[index].dtype) ||
         state_.model.source->byte_size(index) % 8 == 0;
}

Status ArchiveRun::store(size_t index) {
  LLMC_RETURN_IF_ERROR(progress_.check_cancelled());
  return write_exact_tensor(*state_.model.source, index, plan_.shard_of[index], writer_);
}

Status ArchiveRun::write_rest() {
  if (!state_.gguf_header.empty() && !writer_.is_done(kGgufHeaderName))
    LLMC_RETURN_IF_ERROR(
        writer_.write_own(kGgufHeaderName, state_.gguf_header, state_.model.gguf->bytes().size(), 0));
  for (const size_t index : plan_.exact_order) LLMC_RETURN_IF_ERROR(store(index));
  return Status::ok();
}

Result<CompressReport> ArchiveRun::finish() {
  const Description& description = state_.description;
  Status status = Status::ok();
  if (!description.carried.empty())
    status = carry_over_to_archive(state_.model, description.carried, writer_.folder());
  if (status.is_ok())
    status = writer_.finish(description, [&](const ArchiveReader& written) -> Status {
      LLMC_RETURN_IF_ERROR(check_written(written, state_.options));
      if (description.carried.empty()) return Status::ok();
      return check_carried_files(written.description(), writer_.folder().staging());
    });
  if (!status.is_ok()) {
    give_up(status.error());
    Error failure = std::move(status).error();
    // Lines that have their checksum and fit the plan may still say of streams what cannot be.
    if (resumed_ && failure.kind == ErrorKind::kInternal) {
      failure.kind = ErrorKind::kCorrupt;
      failure.message += "; what an interrupted run left was damaged, and is removed: run the command again";
    }
    return failure;
  }
  const ArchiveLayout& layout = plan_.layout;
  const std::string& archive = layout.index_path.empty() ? layout.shards[0].path : layout.index_path;
  LLMC_ASSIGN_OR_RETURN(CompressReport report, report_archive(state_, archive, tensors_.measured()));
  report.resumed = resumed_;
  return report;
}

void ArchiveRun::give_up(const Error& error) {
  // A run that was interrupted is gone on with, if its source is there the next time; one that failed otherwise begins
  // anew.
  if (error.kind == ErrorKind::kInterrupted && resumable())
    writer_.keep_for_resume();
  else
    writer_.abandon();
}

}  // namespace llmcodec
