// SPDX-License-Identifier: BSD-3-Clause
// A sink that writes one model into several files of a folder, one after the other; the container of the files is the
// caller's.
//
// Example (ModelFolder& folder, std::vector<TensorInfo> tensors, std::vector<Shard> shards):
//
//   const auto open_shard = [&](size_t shard, std::vector<TensorInfo> own) -> Result<std::unique_ptr<TensorSink>> {
//     LLMC_ASSIGN_OR_RETURN(AtomicFile file, folder.create(shards[shard].file_name));
//     return create_safetensors(std::move(file), own, {}, [&](AtomicFile done) { return folder.add(std::move(done)); });
//   };
//   PartedSink sink(folder, tensors, shards, open_shard, [&] { return folder.commit(); });
//   LLMC_RETURN_IF_ERROR(sink.finish());
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tensor/model_folder.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

// One of the files over which tensors are spread.
struct Shard {
  std::string file_name;
  size_t first = 0;  // tensors [first, first + count) of the list
  size_t count = 0;
  uint64_t data_bytes = 0;
};

class PartedSink final : public TensorSink {
 public:
  // Makes the sink of one shard, which gets these tensors, the shard's own; its finish() adds the file to the folder.
  using OpenShard =
      std::function<Result<std::unique_ptr<TensorSink>>(size_t shard, std::vector<TensorInfo> tensors)>;

  // `folder` must live longer. `shards` has at least one, and they hold all tensors in order. `commit` is called by
  // finish() when all shards are added.
  PartedSink(ModelFolder& folder, std::vector<TensorInfo> tensors, std::vector<Shard> shards,
             OpenShard open_shard, std::function<Status()> commit);

  Status write(size_t index, std::span<const std::byte> bytes) override;
  Status finish() override;

 private:
  Status open_current();
  Status open_shard_of(size_t index);

  ModelFolder& folder_;
  std::vector<TensorInfo> tensors_;
  std::vector<Shard> shards_;
  OpenShard open_shard_;
  std::function<Status()> commit_;
  std::unique_ptr<TensorSink> sink_;  // of shards_[current_]
  size_t current_ = 0;
};

}  // namespace llmcodec
