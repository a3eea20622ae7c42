// SPDX-License-Identifier: BSD-3-Clause
#include "base/file.h"
#include "base/output_guard.h"
#include "base/stopwatch.h"
#include "compress/archive_run.h"
#include "compress/compress_model.h"
#include "compress/compress_report.h"
#include "compress/compress_state.h"
#include "llmcodec/model.h"

namespace llmcodec {
namespace {

Result<CompressReport> encode(CompressState& state, std::vector<TensorSettings> settings) {
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveRun> run, ArchiveRun::open(state, std::move(settings)));
  const Stopwatch watch;
  Status status = run->code(state.tensors);
  if (status.is_ok()) status = run->write_rest();
  if (!status.is_ok()) {
    run->give_up(status.error());
    return std::move(status).error();
  }
  const double seconds = watch.seconds();
  LLMC_ASSIGN_OR_RETURN(CompressReport report, run->finish());
  report.encode_seconds = seconds;
  return report;
}

}  // namespace

Result<CompressReport> compress(const CompressOptions& options) {
  LLMC_ASSIGN_OR_RETURN(Model model, open_model(options.input));
  return compress(std::move(model), options);
}

Result<CompressReport> compress(Model model, const CompressOptions& options) {
  const Stopwatch wall;
  LLMC_RETURN_IF_ERROR(check_output_name(options.output));
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<CompressState> state, prepare(std::move(model), options));
  const Stopwatch search;
  LLMC_ASSIGN_OR_RETURN(RateFound found, find_settings(*state));
  const double rate_seconds = search.seconds();
  LLMC_ASSIGN_OR_RETURN(CompressReport report, encode(*state, std::move(found.settings)));
  report.rate_seconds = rate_seconds;
  report.wall_seconds = wall.seconds();
  return report;
}

Result<SourceReport> inspect_source(const CompressOptions& options) {
  LLMC_ASSIGN_OR_RETURN(Model model, open_model(options.input));
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<CompressState> state, decide(std::move(model), options));
  return report_source(*state);
}

Result<PlanReport> plan(const CompressOptions& options) {
  LLMC_ASSIGN_OR_RETURN(Model model, open_model(options.input));
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<CompressState> state, prepare(std::move(model), options));
  // Before the minutes that the search may take.
  const std::string& file = options.output;
  if (!file.empty()) {
    LLMC_RETURN_IF_ERROR(check_output_file(file, state->inputs()));
    LLMC_RETURN_IF_ERROR(check_output_folder(file));
  }
  LLMC_ASSIGN_OR_RETURN(const RateFound found, find_settings(*state));
  PlanReport report = report_plan(*state, found);
  if (!file.empty()) LLMC_RETURN_IF_ERROR(write_text_file(file, report.plan));
  return report;
}

}  // namespace llmcodec
