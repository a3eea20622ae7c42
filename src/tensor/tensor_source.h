// SPDX-License-Identifier: BSD-3-Clause
// Where tensors come from and go to, whatever the file format. A source is a list of tensors whose bytes are
// read on demand; a sink takes the same list in advance and then the bytes of each tensor in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/byte_source.h"
#include "llmcodec/status.h"
#include "tensor/dtype.h"

namespace llmcodec {

struct TensorInfo {
  std::string name;
  Dtype dtype = Dtype::kF32;
  // Row-major, outermost first ([out, in] of a linear layer), for GGUF too; {} = scalar.
  std::vector<uint64_t> shape;
  // Of `name`: the folder of its part and the slash behind it, in a pipeline (model_parts.h). 0 everywhere else, where a
  // slash in a name means nothing.
  size_t folder_bytes = 0;

  std::string_view folder() const { return std::string_view(name).substr(0, folder_bytes); }
  // The same without the slash, by which parts are sorted: "vae" comes before "vae-ft", and "vae/" after "vae-ft/".
  std::string_view part() const {
    return std::string_view(name).substr(0, folder_bytes == 0 ? 0 : folder_bytes - 1);
  }
  std::string_view local_name() const { return std::string_view(name).substr(folder_bytes); }  // in its part
  uint64_t elements() const;  // product of the shape; 0 if that overflows, which opened sources exclude
};

// Bytes of a range of elements inside a tensor.
struct ByteRange {
  uint64_t begin = 0;
  uint64_t size = 0;
};
// InvalidArgument if [first, first + count) is outside the tensor or not whole blocks of its dtype.
Result<ByteRange> element_bytes(const TensorInfo& info, uint64_t first, uint64_t count);

// Thread-safe.
class TensorSource {
 public:
  virtual ~TensorSource() = default;

  // In the order of their bytes in the file(s); names are unique, sizes fit the files.
  virtual const std::vector<TensorInfo>& tensors() const = 0;
  // Fills `out` with bytes of tensor `index` (position in tensors()) from its byte `first` on, which must be
  // inside the tensor. Io, naming file, tensor and offset, when they cannot be read.
  virtual Status read(size_t index, uint64_t first, std::span<std::byte> out) const = 0;
  // File that holds the tensor and where, for error messages.
  virtual const std::string& file(size_t index) const = 0;
  virtual uint64_t offset(size_t index) const = 0;

  uint64_t byte_size(size_t index) const;
  // What the tensor takes in its file(s): less than byte_size() where it is computed from codes.
  virtual uint64_t stored_bytes(size_t index) const { return byte_size(index); }
  // The first `bytes` bytes of a tensor in pieces as visit_pieces() makes them: it may be larger than the memory.
  Status visit(size_t index, uint64_t bytes, uint64_t unit, const PieceVisitor& visit) const;
  // Position of the tensor called `name`; InvalidArgument if there is none.
  Result<size_t> find(std::string_view name) const;
  // Elements [first, first + out.size()) as float. Block types: `first` and the count must be whole blocks.
  Status read_f32(size_t index, uint64_t first, std::span<float> out) const;

 private:
  // Made by the first find(): commands that look up all tensors of a model would else take the square of their
  // number.
  mutable std::once_flag indexed_;
  mutable std::unordered_map<std::string_view, size_t> index_;
};

class TensorSink {
 public:
  virtual ~TensorSink() = default;
  // Bytes of tensor `index` of the list given at creation, in pieces; tensors in order, each complete before
  // the next (zero-size ones need no call). InvalidArgument where the pieces do not add up.
  virtual Status write(size_t index, std::span<const std::byte> bytes) = 0;
  // All tensors were written (else InvalidArgument): the files appear under their names. Destroyed without
  // finish(), a sink leaves no unfinished file behind.
  virtual Status finish() = 0;
};

}  // namespace llmcodec
