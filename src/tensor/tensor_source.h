// SPDX-License-Identifier: BSD-3-Clause
// Where tensors come from and go to, whatever the file format. A source is a list of tensors whose bytes are
// mapped; a sink takes the same list in advance and then the bytes of each tensor in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "llmcodec/status.h"
#include "tensor/dtype.h"

namespace llmcodec {

struct TensorInfo {
  std::string name;
  Dtype dtype = Dtype::kF32;
  std::vector<uint64_t>
      shape;  // row-major, outermost first ([out, in] of a linear layer), for GGUF too; {} = scalar
  uint64_t elements() const;  // checked when the source was opened
};

class TensorSource {
 public:
  virtual ~TensorSource() = default;

  // In the order of their bytes in the file(s); names are unique.
  virtual const std::vector<TensorInfo>& tensors() const = 0;
  // The mapped bytes of tensor `index` (position in tensors()); valid while the source lives.
  virtual std::span<const std::byte> bytes(size_t index) const = 0;
  // File that holds the tensor and where, for error messages.
  virtual const std::string& file(size_t index) const = 0;
  virtual uint64_t offset(size_t index) const = 0;
  // Gives back the memory of elements [first, first + count) once they were used.
  virtual void release(size_t index, uint64_t first, uint64_t count) const = 0;

  // Position of the tensor called `name`; InvalidArgument if there is none.
  Result<size_t> find(std::string_view name) const;
  // Elements [first, first + out.size()) as float. Block types: `first` and the count must be whole blocks.
  Status read_f32(size_t index, uint64_t first, std::span<float> out) const;
};

class TensorSink {
 public:
  virtual ~TensorSink() = default;
  // Bytes of the next tensor of the list given at creation, in pieces; the sink checks that the pieces add
  // up.
  virtual Status write(size_t index, std::span<const std::byte> bytes) = 0;
  virtual Status finish() = 0;  // all tensors written: the files appear under their names
};

}  // namespace llmcodec
