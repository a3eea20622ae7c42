// SPDX-License-Identifier: BSD-3-Clause
// Coded segments into the parts of their tensors.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "archive/archive_writer.h"
#include "base/error_metrics.h"
#include "compress/segment_run.h"

namespace llmcodec {

class TensorWriter {
 public:
  // All borrowed. `shard_of`: by source tensor.
  TensorWriter(const TensorSource& source, const std::vector<size_t>& shard_of, ArchiveWriter& writer);

  // The next segment, in the order of tensors, matrices and pictures.
  Status take(const SegmentTask& task);
  // Errors of the tensors written, those of an interrupted run included.
  const std::map<std::string, ErrorMetrics>& measured() const { return measured_; }

 private:
  Status begin(const SegmentTask& task);
  Status end(const FittedTensor& tensor);
  Status write_part(const std::string& name, std::span<const std::byte> bytes);

  const TensorSource& source_;
  const std::vector<size_t>& shard_of_;
  ArchiveWriter& writer_;
  TensorRecipe recipe_;               // of the tensor being written, with the segments so far
  uint64_t segments_ = 0;             // that it will have
  std::vector<std::string> samples_;  // their checksums, by segment
  ErrorMetrics metrics_;
  OutlierList outliers_;
  std::map<std::string, ErrorMetrics> measured_;
};

}  // namespace llmcodec
