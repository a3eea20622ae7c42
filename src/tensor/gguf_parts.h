// SPDX-License-Identifier: BSD-3-Clause
// One model in several GGUF files, as llama-gguf-split writes them: NAME-00001-of-00003.gguf has the key-values, every
// part some of the tensors, and the keys split.no, split.count and split.tensors.count say which part it is.
//
// Example (const std::string& path):
//
//   LLMC_ASSIGN_OR_RETURN(std::unique_ptr<GgufFile> first, GgufFile::open(path));
//   if (says_it_is_split(first->header())) {
//     LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<GgufParts> parts, GgufParts::open(std::move(first), path));
//     use(parts->tensors().size());
//   }
//
// Example (const std::string& path, const GgufHeader& header, std::vector<TensorInfo> tensors):
//
//   LLMC_ASSIGN_OR_RETURN(std::vector<Shard> parts, plan_gguf_parts(tensors, 2'000'000'000, "model"));
//   LLMC_ASSIGN_OR_RETURN(ModelFolder folder, ModelFolder::open_shared(path));
//   LLMC_ASSIGN_OR_RETURN(const auto sink, create_gguf_parts(folder, header, tensors, parts));
//   use(sink);  // as any other
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tensor/gguf.h"
#include "tensor/model_folder.h"
#include "tensor/parted_sink.h"

namespace llmcodec {

bool says_it_is_split(const GgufHeader& header);

class GgufParts final : public TensorSource {
 public:
  // `first` was opened from `path`; the others stand beside it and are found by their names. A file that has all
  // tensors of the model is the model, whatever its keys say (is_whole()). InvalidArgument for a later part, naming the first,
  // and for a first part whose name does not say so; Io for a missing part; Corrupt where the parts do not belong
  // together.
  static Result<std::unique_ptr<GgufParts>> open(std::unique_ptr<GgufFile> first, const std::string& path);

  // As if the model were in one file: the key-values of the first part without split.*, the tensors of all.
  const GgufHeader& header() const { return header_; }
  const std::vector<std::string>& paths() const { return paths_; }
  bool is_whole() const { return parts_.size() == 1; }

  const std::vector<TensorInfo>& tensors() const override { return header_.tensors(); }
  Status read(size_t index, uint64_t first, std::span<std::byte> out) const override;
  const std::string& file(size_t index) const override;
  uint64_t offset(size_t index) const override;

 private:
  struct Place {
    size_t part = 0, index = 0;  // in that part
  };
  GgufParts() = default;
  Status open_others(const std::string& path);
  Status join();

  std::vector<std::unique_ptr<GgufFile>> parts_;
  std::vector<std::string> paths_;
  std::vector<Place> places_;
  GgufHeader header_;
};

// How llama-gguf-split spreads tensors over parts: each takes tensors in order until the next would pass
// `max_part_bytes` of tensors and their padding (the key-values do not count); a larger one gets a part of its own.
// 0 means one part. Named "STEM-00001-of-0000N.gguf". InvalidArgument for more than 65,535 parts.
Result<std::vector<Shard>> plan_gguf_parts(std::span<const TensorInfo> tensors, uint64_t max_part_bytes,
                                           const std::string& stem);

// A sink as create_gguf(), with the same errors, that writes these parts into `folder`, which must live longer: all
// key-values in the first, split.no, split.count and split.tensors.count in each. finish() commits the folder.
Result<std::unique_ptr<TensorSink>> create_gguf_parts(ModelFolder& folder, const GgufHeader& header,
                                                      std::vector<TensorInfo> tensors,
                                                      std::vector<Shard> parts);

}  // namespace llmcodec
