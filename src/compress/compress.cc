// SPDX-License-Identifier: BSD-3-Clause
#include "archive/archive_writer.h"
#include "archive/carry_over.h"
#include "base/file.h"
#include "base/output_guard.h"
#include "base/stopwatch.h"
#include "compress/archive_plan.h"
#include "compress/compress_model.h"
#include "compress/compress_report.h"
#include "compress/compress_state.h"
#include "compress/exact_tensors.h"
#include "compress/tensor_writer.h"
#include "llmcodec/model.h"

namespace llmcodec {
namespace {

// The segments of all tensors that are not done, in order.
class SegmentList {
 public:
  SegmentList(CompressState& state, const std::vector<TensorSettings>& settings, const ArchiveWriter& writer)
      : state_(state), settings_(settings), writer_(writer) {}

  Result<std::optional<SegmentTask>> next() {
    while (task_ == tasks_.size()) {
      LLMC_ASSIGN_OR_RETURN(const bool more, next_matrix());
      if (!more) return std::optional<SegmentTask>();
    }
    return std::optional(std::move(tasks_[task_++]));
  }

 private:
  Result<bool> next_matrix() {
    while (tensor_ < state_.tensors.size() &&
           (matrix_ == tensor().shape.matrices || writer_.is_done(tensor().plan->name))) {
      ++tensor_;
      matrix_ = 0;
    }
    if (tensor_ == state_.tensors.size()) return false;
    LLMC_ASSIGN_OR_RETURN(const Codec* codec, state_.codecs.get(tensor().plan->codec));
    if (matrix_ == 0) {
      const PictureSettings& pictures = settings_[tensor().index].pictures;
      LLMC_ASSIGN_OR_RETURN(TensorRecipe recipe, tensor().recipe(tensor().shape.rows, pictures, *codec));
      recipe_ = std::make_shared<const TensorRecipe>(std::move(recipe));
    }
    tasks_ = segments_of(tensor(), codec, recipe_, matrix_++, 0);
    task_ = 0;
    return true;
  }
  const FittedTensor& tensor() const { return state_.tensors[tensor_]; }

  CompressState& state_;
  const std::vector<TensorSettings>& settings_;
  const ArchiveWriter& writer_;
  size_t tensor_ = 0;
  uint64_t matrix_ = 0;
  std::shared_ptr<const TensorRecipe> recipe_;
  std::vector<SegmentTask> tasks_;  // of one matrix
  size_t task_ = 0;
};

// What an output must not replace.
std::vector<std::string> inputs_of(const CompressState& state) {
  std::vector<std::string> files = state.model.all_files();
  files.insert(files.end(), {state.options.plan, state.options.importance, state.options.hessian});
  return files;
}

// Codes all tensors and writes everything but the headers.
Status write_archive(CompressState& state, const std::vector<TensorSettings>& settings,
                     const ArchivePlan& plan, ArchiveWriter& writer, TensorWriter& tensors) {
  const uint64_t weights = total_weights(state.tensors);
  PhaseProgress progress(state.options.control, weights);
  SegmentList segments(state, settings, writer);
  FeedbackCache feedback(state.moments, 0);
  SegmentRun run{*state.model.source, &feedback, state.options.control};
  run.next = [&] { return segments.next(); };
  run.take = [&](SegmentTask& task) {
    progress.add("encode", task.coded.metrics.count(), task.tensor->plan->name);
    return tensors.take(task);
  };
  LLMC_RETURN_IF_ERROR(run.run(weights));
  if (!state.gguf_header.empty() && !writer.is_done(kGgufHeaderName))
    LLMC_RETURN_IF_ERROR(writer.write_own(kGgufHeaderName, state.gguf_header, 0));
  for (const size_t index : plan.exact_order) {
    LLMC_RETURN_IF_ERROR(progress.check_cancelled());
    LLMC_RETURN_IF_ERROR(write_exact_tensor(*state.model.source, index, plan.shard_of[index], writer));
  }
  return Status::ok();
}

Result<CompressReport> encode(CompressState& state, const std::vector<TensorSettings>& settings) {
  LLMC_ASSIGN_OR_RETURN(ArchivePlan plan, plan_archive(state.content(), settings));
  LLMC_RETURN_IF_ERROR(check_output(state.model, inputs_of(state), state.options.output, plan.layout));
  const bool resumable = !state.model.weight_files.empty();
  plan.layout.restart = state.options.restart || !resumable;
  plan.layout.key = resume_key(state, settings);
  LLMC_ASSIGN_OR_RETURN(ArchiveWriter writer, ArchiveWriter::open(plan.layout));
  const bool resumed = writer.is_resumed();
  if (!writer.dropped().empty())
    state.notes.push_back("some of an interrupted run is coded again: " + writer.dropped());
  TensorWriter tensors(*state.model.source, plan.shard_of, writer);
  const Stopwatch watch;
  Status status = write_archive(state, settings, plan, writer, tensors);
  const double encode_seconds = watch.seconds();
  if (status.is_ok() && !plan.layout.folder.empty())
    status = carry_over_to_archive(state.model, writer.folder());
  if (status.is_ok()) status = writer.finish(state.description);
  if (!status.is_ok()) {
    // A run that was interrupted is gone on with, if its source is there the next time; one that failed
    // otherwise begins anew.
    if (status.error().kind == ErrorKind::kInterrupted && resumable)
      writer.keep_for_resume();
    else
      writer.abandon();
    return std::move(status).error();
  }
  const std::string archive =
      plan.layout.index_path.empty() ? plan.layout.shards[0].path : plan.layout.index_path;
  LLMC_ASSIGN_OR_RETURN(CompressReport report, report_archive(state, archive, tensors.measured()));
  report.encode_seconds = encode_seconds;
  report.resumed = resumed;
  return report;
}

}  // namespace

Result<CompressReport> compress(const CompressOptions& options) {
  LLMC_ASSIGN_OR_RETURN(Model model, open_model(options.input));
  return compress(std::move(model), options);
}

Result<CompressReport> compress(Model model, const CompressOptions& options) {
  const Stopwatch wall;
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<CompressState> state, prepare(std::move(model), options));
  const Stopwatch search;
  LLMC_ASSIGN_OR_RETURN(const RateFound found, find_settings(*state));
  const double rate_seconds = search.seconds();
  LLMC_ASSIGN_OR_RETURN(CompressReport report, encode(*state, found.settings));
  report.rate_seconds = rate_seconds;
  report.wall_seconds = wall.seconds();
  return report;
}

Result<PlanReport> plan(const CompressOptions& options) {
  LLMC_ASSIGN_OR_RETURN(Model model, open_model(options.input));
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<CompressState> state, prepare(std::move(model), options));
  // Before the minutes that the search may take.
  const std::string& file = options.output;
  if (!file.empty()) LLMC_RETURN_IF_ERROR(check_output_file(file, inputs_of(*state)));
  LLMC_ASSIGN_OR_RETURN(const RateFound found, find_settings(*state));
  PlanReport report = report_plan(*state, found);
  if (!file.empty()) LLMC_RETURN_IF_ERROR(write_text_file(file, report.plan));
  return report;
}

}  // namespace llmcodec
