// SPDX-License-Identifier: BSD-3-Clause
// The tensors of a pipeline's parts as one source, and one part of such a source as a source by itself.
//
// Example (std::vector<PipelineSource::Part> parts):
//
//   LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<PipelineSource> source, PipelineSource::join(std::move(parts)));
//   use(source->tensors()[0].name);  // "unet/conv_in.weight"
//   const PartView unet(*source, "unet");
//   use(unet.tensors()[0].name);  // "conv_in.weight"
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tensor/model_parts.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

class PipelineSource final : public TensorSource {
 public:
  struct Part {
    std::string folder;
    std::unique_ptr<TensorSource> source;
  };
  // InvalidArgument for a part without tensors, and for a tensor whose name would be taken for that of another part.
  static Result<std::unique_ptr<PipelineSource>> join(std::vector<Part> parts);

  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  Status read(size_t index, uint64_t first, std::span<std::byte> out) const override;
  const std::string& file(size_t index) const override;
  uint64_t offset(size_t index) const override;
  uint64_t stored_bytes(size_t index) const override;

 private:
  struct Place {
    size_t part = 0, index = 0;  // in that part
  };
  explicit PipelineSource(std::vector<Part> parts) : parts_(std::move(parts)) {}
  const TensorSource& part_of(size_t index) const { return *parts_[places_[index].part].source; }

  std::vector<Part> parts_;
  std::vector<TensorInfo> tensors_;
  std::vector<Place> places_;
};

// Those tensors of `whole`, which must live as long, that are in the part, by their names inside it.
class PartView final : public TensorSource {
 public:
  PartView(const TensorSource& whole, const std::string& folder);

  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  Status read(size_t index, uint64_t first, std::span<std::byte> out) const override {
    return whole_.read(origin_[index], first, out);
  }
  const std::string& file(size_t index) const override { return whole_.file(origin_[index]); }
  uint64_t offset(size_t index) const override { return whole_.offset(origin_[index]); }
  uint64_t stored_bytes(size_t index) const override { return whole_.stored_bytes(origin_[index]); }

 private:
  const TensorSource& whole_;
  std::vector<TensorInfo> tensors_;
  std::vector<size_t> origin_;  // in the whole
};

}  // namespace llmcodec
