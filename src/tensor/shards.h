// SPDX-License-Identifier: BSD-3-Clause
// One model in several safetensors files, joined by model.safetensors.index.json:
//   { "metadata": {"total_size": BYTES}, "weight_map": {TENSOR: FILE, ...} }
// The index is believed only as far as the shards agree: a missing shard (Io), and a tensor that is
// absent, in another shard than the index says, in two shards, or not in the index (Corrupt) are
// errors that name both. Of a model, the index may decide between two shards that have the same tensor.
//
// Example (const std::string& from, const std::string& to):
//
//   LLMC_ASSIGN_OR_RETURN(const auto source, ShardedSource::open(from + "/" + kIndexFileName));
//   const std::vector<TensorInfo>& tensors = source->tensors();
//   LLMC_ASSIGN_OR_RETURN(ModelFolder folder, ModelFolder::open(to));
//   LLMC_ASSIGN_OR_RETURN(const auto sink,
//                         create_sharded_safetensors(folder, tensors, {{"", kModelStem, source->metadata()}}, 5'000'000'000));
//   for (size_t i = 0; i < tensors.size(); ++i) {
//     std::vector<std::byte> bytes(source->byte_size(i));
//     LLMC_RETURN_IF_ERROR(source->read(i, 0, bytes));
//     LLMC_RETURN_IF_ERROR(sink->write(i, bytes));
//   }
//   LLMC_RETURN_IF_ERROR(sink->finish());
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tensor/model_folder.h"
#include "tensor/parted_sink.h"
#include "tensor/safetensors.h"

namespace llmcodec {

// A tensor that is in two shards.
enum class Overlap {
  kRefuse,
  kIndexDecides,  // overlays: the tensor is taken from the shard that the index names
};

class ShardedSource final : public TensorSource {
 public:
  static Result<std::unique_ptr<ShardedSource>> open(const std::string& index_path,
                                                     Overlap overlap = Overlap::kRefuse);
  // Of shards without an index. Corrupt when a tensor is in two of them.
  static Result<std::unique_ptr<ShardedSource>> join(std::vector<std::unique_ptr<SafetensorsFile>> shards);

  // Sorted by name, or as they were joined: the order of tensors().
  const std::vector<std::unique_ptr<SafetensorsFile>>& shards() const { return shards_; }
  std::vector<std::string> shard_paths() const;
  // The shards' metadata in one map; where two differ, the first shard's value.
  SafetensorsMetadata metadata() const;

  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  Status read(size_t index, uint64_t first, std::span<std::byte> out) const override;
  const std::string& file(size_t index) const override;
  uint64_t offset(size_t index) const override;

 private:
  static std::unique_ptr<ShardedSource> take(
      std::vector<std::unique_ptr<SafetensorsFile>> shards,
      const std::function<bool(const SafetensorsFile&, const TensorInfo&)>& wanted);

  struct Place {
    uint32_t shard = 0;
    size_t index = 0;  // in the shard
  };
  std::vector<std::unique_ptr<SafetensorsFile>> shards_;
  std::vector<TensorInfo> tensors_;
  std::vector<Place> places_;
};

// How tensors are spread over files: each shard takes tensors in order until the next would pass
// `max_shard_bytes` of data; a larger tensor gets a shard of its own. Names: "STEM-00001-of-0000N.safetensors", or
// "STEM.safetensors" for a single one.
// `max_shard_bytes` 0 means one file. Errors as layout_safetensors().
Result<std::vector<Shard>> plan_shards(std::span<const TensorInfo> tensors, uint64_t max_shard_bytes,
                                       const std::string& stem = kModelStem);

// The text of an index for `shards`.
std::string safetensors_index(std::span<const TensorInfo> tensors, std::span<const Shard> shards);

// The same for each part of a model: file names are relative to the model's folder. InvalidArgument
// for tensors that are not sorted by TensorInfo::part() as `parts` are, and for one that is in none of them.
Result<std::vector<Shard>> plan_part_shards(const std::vector<TensorInfo>& tensors, const ModelParts& parts,
                                            uint64_t max_shard_bytes);

// The part to which one of these shards belongs.
const ModelPart& part_of_shard(const Shard& shard, const ModelParts& parts);
// An index for each part of which there are several shards, into the folder.
Status write_indices(ModelFolder& folder, const std::vector<TensorInfo>& tensors, const ModelParts& parts,
                     uint64_t max_shard_bytes);

// Whether create_sharded_safetensors(), or create_safetensors() for one file, would take these: errors of
// layout_safetensors() and safetensors_header().
Status check_sharded_safetensors(const std::vector<TensorInfo>& tensors, const ModelParts& parts,
                                 uint64_t max_shard_bytes);

// A sink that writes the shards of plan_part_shards(), in which tensors have the names that they have inside their part, into
// `folder`, which must live longer, and then an index for each part of several files. finish() commits the folder: all files
// that were added to it appear together.
Result<std::unique_ptr<TensorSink>> create_sharded_safetensors(ModelFolder& folder,
                                                               std::vector<TensorInfo> tensors,
                                                               const ModelParts& parts,
                                                               uint64_t max_shard_bytes);

}  // namespace llmcodec
