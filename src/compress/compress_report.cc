// SPDX-License-Identifier: BSD-3-Clause
#include "compress/compress_report.h"

#include "archive/archive_reader.h"
#include "base/error.h"
#include "plan/plan_file.h"
#include "report/tensor_report.h"
#include "restore/product_errors.h"
#include "tensor/tensor_role.h"

namespace llmcodec {
namespace {

// Tensors whose lossy code takes no less room than the source, which says them exactly: quantised checkpoints
// at more bits than they have. Empty when there are none.
std::string larger_than_source(const std::vector<TensorReport>& tensors, const TensorSource& source) {
  uint64_t count = 0, coded_bytes = 0, source_bytes = 0;
  std::string first;
  for (const TensorReport& tensor : tensors) {
    const auto index = source.find(tensor.name);
    if (!tensor.coded || !tensor.same_as.empty() || !index.is_ok() ||
        tensor.bytes < source.stored_bytes(*index))
      continue;
    if (count++ == 0) first = tensor.name;
    coded_bytes += tensor.bytes;
    source_bytes += source.stored_bytes(*index);
  }
  if (count == 0) return {};
  return fmt::format(
      "{} coded tensors, the first {}, take {} bytes; --keep stores them exactly in the source's {}", count,
      first, coded_bytes, source_bytes);
}

// Tensor `i` as the plan has it; its bytes are those that the source takes, or that keeping it would.
TensorReport planned_tensor(const CompressState& state, size_t i) {
  const TensorPlan& tensor = state.plan.tensors[i];
  const TensorInfo& info = state.model.source->tensors()[i];
  return {.name = tensor.name,
          .dtype = dtype_info(info.dtype).name,
          .shape = info.shape,
          .elements = info.elements(),
          .role = role_name(tensor_role(info)),
          .coded = tensor.code,
          .reason = tensor.reason,
          .bytes = tensor.code ? state.model.source->stored_bytes(i) : state.model.source->byte_size(i)};
}

double bits_per_element(const TensorReport& tensor) {
  return tensor.elements == 0
             ? 0
             : 8.0 * static_cast<double>(tensor.bytes) / static_cast<double>(tensor.elements);
}

}  // namespace

Result<CompressReport> report_archive(const CompressState& state, const std::string& archive,
                                      const std::map<std::string, ErrorMetrics>& measured) {
  LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveReader> reader, ArchiveReader::open(archive));
  std::map<std::string, std::string> reasons;
  for (const TensorPlan& tensor : state.plan.tensors) {
    if (!tensor.code) reasons[tensor.name] = tensor.reason;
  }
  CompressReport report;
  report.fit_seconds = state.fit_seconds;
  report.carried_bytes = carried_bytes(*reader);
  report.carried_files = count_carried_files(reader->description().carried);
  report.notes = state.notes;
  report.bytes = reader->total_bytes();
  report.tensors = describe_tensors(*reader);
  ErrorMetrics all;
  for (TensorReport& tensor : report.tensors) {
    report.parameters += tensor.elements;
    if (const auto reason = reasons.find(tensor.name); reason != reasons.end())
      tensor.reason = reason->second;
    const auto metrics = measured.find(tensor.same_as.empty() ? tensor.name : tensor.same_as);
    if (metrics == measured.end()) continue;
    set_errors(metrics->second, &tensor);
    all.merge(metrics->second);
  }
  if (const std::string note = larger_than_source(report.tensors, *state.model.source); !note.empty())
    report.notes.push_back(note);
  report.parts = sum_parts(report.tensors, state.description);
  report.relative_mse = all.relative_mse();
  report.snr_db = all.snr_db();
  if (!state.model.weight_files.empty()) {
    LLMC_ASSIGN_OR_RETURN(report.products,
                          product_errors(archive, *state.model.source, state.options.control));
  }
  set_bpw(report.bytes, report.carried_bytes, report.parameters, &report.bpw, &report.bpw_weights);
  return report;
}

SourceReport report_source(const CompressState& state) {
  SourceReport report;
  report.source_kind = model_kind_name(state.model.kind);
  report.carried_files = count_carried_files(state.description.carried);
  report.notes = state.notes;
  for (size_t i = 0; i < state.plan.tensors.size(); ++i) {
    TensorReport entry = planned_tensor(state, i);
    entry.bpw = bits_per_element(entry);
    report.parameters += entry.elements;
    report.bytes += entry.bytes;
    if (entry.coded)
      report.coded_parameters += entry.elements;
    else
      report.kept_bytes += entry.bytes;
    report.tensors.push_back(std::move(entry));
  }
  report.parts = sum_parts(report.tensors, state.description);
  return report;
}

PlanReport report_plan(const CompressState& state, const RateFound& found) {
  PlanReport report;
  report.plan = plan_to_text(state.plan, found.settings);
  report.predicted_bytes = found.predicted_bytes;
  report.predicted_snr_db = found.predicted_snr_db;
  report.predicted_seconds = found.predicted_seconds;
  report.notes = state.notes;
  for (size_t i = 0; i < state.plan.tensors.size(); ++i) {
    TensorReport entry = planned_tensor(state, i);
    if (const auto copy = state.description.same_as.find(entry.name);
        copy != state.description.same_as.end()) {
      entry.same_as = copy->second.original;
      entry.bytes = 0;
    } else if (entry.coded) {
      entry.bytes = found.settings[i].predicted_bytes;
    }
    entry.bpw = bits_per_element(entry);
    entry.snr_db = found.settings[i].predicted_snr_db;
    report.parameters += entry.elements;
    report.tensors.push_back(std::move(entry));
  }
  report.parts = sum_parts(report.tensors, state.description);
  double unused = 0;
  set_bpw(report.predicted_bytes, 0, report.parameters, &report.predicted_bpw, &unused);
  return report;
}

}  // namespace llmcodec
