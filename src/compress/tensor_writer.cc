// SPDX-License-Identifier: BSD-3-Clause
#include "compress/tensor_writer.h"

#include "archive/part_names.h"

namespace llmcodec {

TensorWriter::TensorWriter(const TensorSource& source, const std::vector<size_t>& shard_of,
                           ArchiveWriter& writer)
    : source_(source), shard_of_(shard_of), writer_(writer) {
  for (const auto& [name, memo] : writer.memos()) {
    if (const auto metrics = ErrorMetrics::from_sums(memo)) measured_[name] = *metrics;
  }
}

Status TensorWriter::take(const SegmentTask& task) {
  const FittedTensor& tensor = *task.tensor;
  if (task.matrix == 0 && task.range.first == 0) LLMC_RETURN_IF_ERROR(begin(task));
  LLMC_RETURN_IF_ERROR(writer_.append(task.coded.stream));
  recipe_.codec.segment_bytes.push_back(task.coded.stream.size());
  samples_.push_back(task.coded.samples_xxh3_128);
  metrics_.merge(task.coded.metrics);
  const uint64_t base = task.matrix * tensor.shape.rows * tensor.shape.cols;
  for (size_t i = 0; i < task.coded.outliers.size(); ++i)
    outliers_.add(base + task.coded.outliers.indices[i], task.coded.outliers.values[i]);
  return samples_.size() == segments_ ? end(tensor) : Status::ok();
}

Status TensorWriter::begin(const SegmentTask& task) {
  const FittedTensor& tensor = *task.tensor;
  recipe_ = *task.recipe;
  segments_ = recipe_.segments_per_matrix() * tensor.shape.matrices;
  samples_.clear();
  metrics_ = {};
  outliers_ = {};
  LLMC_RETURN_IF_ERROR(writer_.begin_tensor(tensor.plan->name, shard_of_[tensor.index]));
  for (const Part& part : tensor.scale_parts) LLMC_RETURN_IF_ERROR(write_part(part.name, part.bytes));
  return writer_.begin_part(part_name::kBitstream);
}

Status TensorWriter::end(const FittedTensor& tensor) {
  LLMC_RETURN_IF_ERROR(writer_.end_part());
  const TensorInfo& info = source_.tensors()[tensor.index];
  if (!outliers_.empty()) {
    LLMC_ASSIGN_OR_RETURN(const Part part, outliers_to_part(outliers_, info));
    LLMC_RETURN_IF_ERROR(write_part(part.name, part.bytes));
  }
  TensorRecord record = coded_record(info, tensor.shape, recipe_);
  record.samples = samples_;
  record.outliers = outliers_.size();
  measured_[info.name] = metrics_;
  return writer_.end_tensor(std::move(record), metrics_.sums());
}

Status TensorWriter::write_part(const std::string& name, std::span<const std::byte> bytes) {
  LLMC_RETURN_IF_ERROR(writer_.begin_part(name));
  LLMC_RETURN_IF_ERROR(writer_.append(bytes));
  return writer_.end_part();
}

}  // namespace llmcodec
