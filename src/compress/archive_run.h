// SPDX-License-Identifier: BSD-3-Clause
// An archive on its way to the disk, once all is decided: fitted tensors are coded into it, what is stored exactly
// follows, and it gets its name.
//
// Example (CompressState& state, std::vector<TensorSettings> settings):
//
//   LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveRun> run, ArchiveRun::open(state, settings));
//   Status status = run->code(state.tensors);            // any number of times, some tensors after others
//   if (status.is_ok()) status = run->write_rest();
//   if (!status.is_ok()) {
//     run->give_up(status.error());
//     return status;
//   }
//   LLMC_ASSIGN_OR_RETURN(const CompressReport report, run->finish());
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "compress/compress_state.h"
#include "compress/tensor_writer.h"

namespace llmcodec {

class ArchiveRun {
 public:
  // Plans the files and opens them; goes on with what an interrupted run left. `state` is borrowed; of its tensors only
  // the names and shapes need to be known yet.
  static Result<std::unique_ptr<ArchiveRun>> open(CompressState& state, std::vector<TensorSettings> settings);

  // Codes these of the state's tensors, which follow the ones before in the order of the source.
  Status code(std::span<const FittedTensor> tensors);
  // The same, of segments that were coded before.
  using CodedSegments = std::function<Result<CodedPictures>(const SegmentTask& task)>;
  Status take(std::span<const FittedTensor> tensors, const CodedSegments& coded);
  // Stores source tensor `index` exactly, out of turn. Precondition: can_stand_anywhere(index).
  Status store(size_t index);
  // Whether what is written after it is aligned.
  bool can_stand_anywhere(size_t index) const;
  // The GGUF header, and every tensor that is stored exactly and is not there yet.
  Status write_rest();
  // Carried files, descriptions, names; reads the archive back for the report.
  Result<CompressReport> finish();
  // After an error of the others: keeps what a later run can go on with, removes everything else.
  void give_up(const Error& error);

 private:
  ArchiveRun(CompressState& state, std::vector<TensorSettings> settings, ArchivePlan plan,
             ArchiveWriter writer);
  bool resumable() const { return !state_.model.weight_files.empty(); }

  CompressState& state_;
  const std::vector<TensorSettings> settings_;
  const ArchivePlan plan_;
  ArchiveWriter writer_;
  TensorWriter tensors_;
  FeedbackCache feedback_;
  PhaseProgress progress_;
  const bool resumed_;
};

}  // namespace llmcodec
