// SPDX-License-Identifier: BSD-3-Clause
#include "compress/compress_state.h"

#include "archive/archive_reader.h"
#include "base/checked_math.h"
#include "base/ordered_run.h"
#include "report/tensor_report.h"

namespace llmcodec {
namespace {

// Tensors whose lossy code takes no less room than the source, which says them exactly: quantised checkpoints
// at more bits than they have. Empty when there are none.
std::string larger_than_source(const std::vector<TensorReport>& tensors) {
  uint64_t count = 0, coded_bytes = 0, source_bytes = 0;
  std::string first;
  for (const TensorReport& tensor : tensors) {
    const auto dtype = dtype_from_name(tensor.dtype);
    const auto bytes = dtype ? dtype_bytes(*dtype, tensor.elements) : std::nullopt;
    if (!tensor.coded || !bytes || tensor.bytes < *bytes) continue;
    if (count++ == 0) first = tensor.name;
    coded_bytes += tensor.bytes;
    source_bytes += *bytes;
  }
  if (count == 0) return {};
  return fmt::format(
      "{} coded tensors, the first {}, take {} bytes; --keep stores them exactly in the source's {}", count,
      first, coded_bytes, source_bytes);
}

}  // namespace

CompressReport CompressRun::report(const ArchivePlan& archive) const {
  CompressReport report;
  report.fit_seconds = fit_seconds;
  report.rate_seconds = rate_seconds;
  report.encode_seconds = encode_seconds;
  report.carried_bytes = align_up(gguf_header.size(), 8);
  report.notes = notes;
  ErrorMetrics all;
  auto reader = ArchiveReader::open(archive.layout.index_path.empty() ? archive.layout.shards[0].path
                                                                      : archive.layout.index_path);
  if (reader.is_ok()) {
    report.bytes = reader.value()->total_bytes();
    report.tensors = describe_tensors(*reader.value());
  }
  for (TensorReport& tensor : report.tensors) {
    report.parameters += tensor.elements;
    const auto found_tensor = measured.find(tensor.name);
    if (found_tensor == measured.end()) continue;
    set_errors(found_tensor->second, &tensor);
    all.merge(found_tensor->second);
  }
  for (const TensorPlan& tensor : plan.tensors) {
    if (tensor.code) continue;
    for (TensorReport& entry : report.tensors) {
      if (entry.name == tensor.name) entry.reason = tensor.reason;
    }
  }
  if (const std::string note = larger_than_source(report.tensors); !note.empty())
    report.notes.push_back(note);
  report.resumed = resumed;
  report.relative_mse = all.relative_mse();
  report.snr_db = all.snr_db();
  set_bpw(report.bytes, report.carried_bytes, report.parameters, &report.bpw, &report.bpw_weights);
  return report;
}

PlanReport CompressRun::plan_report() const {
  PlanReport report;
  report.plan = plan_to_text(plan);
  report.predicted_bytes = found.predicted_bytes;
  report.predicted_snr_db = found.predicted_snr_db;
  report.predicted_seconds = found.predicted_seconds;
  for (const TensorPlan& tensor : plan.tensors) {
    const TensorInfo& info = model.source->tensors()[static_cast<size_t>(&tensor - plan.tensors.data())];
    TensorReport entry{.name = tensor.name,
                       .dtype = dtype_info(info.dtype).name,
                       .shape = info.shape,
                       .elements = info.elements(),
                       .coded = tensor.code,
                       .reason = tensor.reason};
    entry.bytes = tensor.code ? tensor.predicted_bytes : *dtype_bytes(info.dtype, info.elements());
    entry.bpw = entry.elements == 0
                    ? 0
                    : 8.0 * static_cast<double>(entry.bytes) / static_cast<double>(entry.elements);
    entry.snr_db = tensor.predicted_snr_db;
    report.parameters += entry.elements;
    report.tensors.push_back(std::move(entry));
  }
  double unused = 0;
  set_bpw(report.predicted_bytes, 0, report.parameters, &report.predicted_bpw, &unused);
  return report;
}

}  // namespace llmcodec
