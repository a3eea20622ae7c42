// SPDX-License-Identifier: BSD-3-Clause
// A quantised checkpoint as the model that it stands for: codes, scales and zeros of a layer are one BF16 tensor, and all
// other tensors are as they were. Values are computed when they are asked for, in pieces of a few megabytes.
//
// Example (std::shared_ptr<const TensorSource> stored, std::vector<LogicalTensor> found):
//
//   const DequantisedSource source(std::move(stored), std::move(found));
//   std::vector<std::byte> bytes(source.byte_size(0));
//   LLMC_RETURN_IF_ERROR(source.read(0, 0, bytes));
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "scheme/stored_matrix.h"
#include "tensor/source_format.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

struct LogicalTensor {
  TensorInfo info;            // BF16, as the dequantised model has it
  std::vector<size_t> parts;  // in the stored source: the codes, then all that belongs to them
  std::shared_ptr<const StoredMatrix> values;
  // Matrix by matrix, rows of `values` are columns of the tensor (GPTQ, AWQ, MXFP4 of gpt-oss). Otherwise the elements
  // come in the same order, even where the rows are cut elsewhere.
  bool transposed = false;
  uint64_t matrices = 1;  // of `values`
  // How it could be written back. `beside` is empty: these small tensors are read when they are asked for.
  SourceFormat format = {};
};

class DequantisedSource final : public TensorSource {
 public:
  // A tensor that is part of none of `logical` passes through; a logical one stands where its codes stood.
  DequantisedSource(std::shared_ptr<const TensorSource> stored, std::vector<LogicalTensor> logical);

  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  Status read(size_t index, uint64_t first, std::span<std::byte> out) const override;
  const std::string& file(size_t index) const override { return stored_->file(origin_[index].stored); }
  uint64_t offset(size_t index) const override { return stored_->offset(origin_[index].stored); }
  uint64_t stored_bytes(size_t index) const override;

 private:
  struct Origin {
    size_t stored = 0;                       // the tensor itself, or its codes
    const LogicalTensor* logical = nullptr;  // none: passes through
  };

  std::shared_ptr<const TensorSource> stored_;
  std::vector<LogicalTensor> logical_;
  std::vector<TensorInfo> tensors_;
  std::vector<Origin> origin_;  // of each
};

}  // namespace llmcodec
