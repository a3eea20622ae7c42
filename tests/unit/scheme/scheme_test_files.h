// SPDX-License-Identifier: BSD-3-Clause
// Small checkpoints for the tests of schemes: tensors with their bytes, in memory.
#pragma once

#include <map>
#include <vector>

#include "../tensor/tensor_test_files.h"
#include "scheme/claims.h"
#include "tensor/safetensors.h"

namespace llmcodec {

template <class T>
std::vector<std::byte> bytes_of(std::vector<T> values) {
  const auto bytes = std::as_bytes(std::span(values));
  return {bytes.begin(), bytes.end()};
}

class MemorySource final : public TensorSource {
 public:
  void add(const std::string& name, Dtype dtype, std::vector<uint64_t> shape, std::vector<std::byte> bytes) {
    tensors_.push_back({name, dtype, std::move(shape)});
    bytes_.push_back(std::move(bytes));
    bytes_.back().resize(byte_size(bytes_.size() - 1));
  }
  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  Status read(size_t index, uint64_t first, std::span<std::byte> out) const override {
    if (first + out.size() > bytes_[index].size()) return Error{ErrorKind::kInternal, "read past its end"};
    std::ranges::copy(std::span(bytes_[index]).subspan(first, out.size()), out.begin());
    return Status::ok();
  }
  const std::string& file(size_t) const override { return name_; }
  uint64_t offset(size_t) const override { return 0; }

 private:
  std::string name_ = "memory";
  std::vector<TensorInfo> tensors_;
  std::vector<std::vector<std::byte>> bytes_;
};

// All values of the first logical tensor that is claimed in `source`.
inline Result<std::vector<float>> dequantised(const MemorySource& source,
                                              const DeclaredScheme& declared = {}) {
  LLMC_ASSIGN_OR_RETURN(Claims claims, find_claims(source, declared));
  if (claims.logical.empty()) return Error{ErrorKind::kInternal, "nothing is claimed"};
  std::vector<float> values(claims.logical[0].info.elements());
  const DequantisedSource view(std::shared_ptr<const TensorSource>(&source, [](const TensorSource*) {}),
                               std::move(claims.logical));
  LLMC_RETURN_IF_ERROR(view.read_f32(0, 0, values));
  return values;
}

}  // namespace llmcodec
