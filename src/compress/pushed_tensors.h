// SPDX-License-Identifier: BSD-3-Clause
// compress() for tensors that come one after the other, each once: possible where all steps are given.
//
// Example (std::vector<TensorInfo> tensors, const CompressOptions& options, std::span<const std::byte> bytes):
//
//   LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<PushedTensors> run, PushedTensors::open(tensors, {}, options));
//   LLMC_RETURN_IF_ERROR(run->push(0, bytes.first(1000)));  // in pieces as they come
//   LLMC_RETURN_IF_ERROR(run->push(0, bytes.subspan(1000)));
//   LLMC_ASSIGN_OR_RETURN(const CompressReport report, run->finish());
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "compress/archive_run.h"

namespace llmcodec {

class PushedTensors {
 public:
  // Decides everything and opens the archive. InvalidArgument where steps are not given (given_settings()). Inputs and
  // outputs of layers are what files say: weights that are not there yet tell nothing about them.
  static Result<std::unique_ptr<PushedTensors>> open(std::vector<TensorInfo> tensors,
                                                     SafetensorsMetadata metadata,
                                                     const CompressOptions& options);
  // Destroyed before finish() it leaves nothing.
  ~PushedTensors();

  // The next bytes of tensor `index`. Tensors come in order, each complete before the next; those without bytes need
  // no call. A tensor is coded in the call that completes it, and then forgotten, unless it is stored exactly and its
  // size is no multiple of 8 bytes: those stand at the end. InvalidArgument for bytes of another tensor or too many;
  // after any error nothing is left and every call is an error.
  Status push(size_t index, std::span<const std::byte> bytes);
  // InvalidArgument, with the tensor, when something is missing.
  Result<CompressReport> finish();

 private:
  class Source;
  explicit PushedTensors(std::unique_ptr<CompressState> state) : state_(std::move(state)) {}
  Status take(size_t index, std::span<const std::byte> bytes);
  Status skip_complete();
  Status complete();
  Error fail(Error error);

  std::unique_ptr<CompressState> state_;  // owns the source
  Source* source_ = nullptr;
  std::unique_ptr<ArchiveRun> run_;  // none after an error and after finish()
  size_t next_ = 0;                  // the tensor whose bytes come
  size_t fitted_ = 0;                // of state_->tensors
};

}  // namespace llmcodec
