// SPDX-License-Identifier: BSD-3-Clause
// Book-keeping of a sink: pieces of tensors arrive in order and must add up to each tensor's size.
//
// Example (std::span<const TensorInfo> tensors, std::span<const std::byte> bytes):
//
//   PieceTracker tracker(tensors);
//   LLMC_ASSIGN_OR_RETURN(const uint64_t position, tracker.accept(0, bytes.size()));  // inside tensor 0
//   use(position);
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "llmcodec/status.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

class PieceTracker {
 public:
  // `tensors` must have sizes that do not overflow (layout_safetensors() and create_gguf() check).
  explicit PieceTracker(std::span<const TensorInfo> tensors);

  // Takes a piece of tensor `index`; returns where in the tensor it starts. InvalidArgument, naming the
  // tensor, for an index that is over or not yet due and for too many bytes.
  Result<uint64_t> accept(size_t index, uint64_t bytes);
  // InvalidArgument, naming the tensor, unless all tensors are complete.
  Status check_complete() const;

 private:
  struct Item {
    std::string name;
    uint64_t bytes;
  };
  // InvalidArgument, naming the first, if a tensor before `index` lacks bytes.
  Status check_complete_until(size_t index) const;
  std::vector<Item> items_;
  size_t current_ = 0;
  uint64_t written_ = 0;  // of items_[current_]
};

}  // namespace llmcodec
