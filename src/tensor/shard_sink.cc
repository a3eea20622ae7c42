// SPDX-License-Identifier: BSD-3-Clause
// The writing half of shards.h: plan, index text, sink.
#include <iterator>
#include <map>
#include <unordered_set>

#include "base/checked_math.h"
#include "base/error.h"
#include "tensor/json_text.h"
#include "tensor/shard_name.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

class ShardedSink final : public TensorSink {
 public:
  ShardedSink(ModelFolder& folder, std::vector<TensorInfo> tensors, std::vector<Shard> shards,
              SafetensorsMetadata metadata)
      : folder_(folder),
        tensors_(std::move(tensors)),
        shards_(std::move(shards)),
        metadata_(std::move(metadata)) {}

  Status write(size_t index, std::span<const std::byte> bytes) override {
    if (index >= tensors_.size())
      return error(ErrorKind::kInvalidArgument, "tensor {} written, there are {}", index, tensors_.size())
          .in_file(folder_.path());
    LLMC_RETURN_IF_ERROR(open_shard_of(index));
    if (index < shards_[current_].first)
      return error(ErrorKind::kInvalidArgument, "written after a later tensor")
          .in_tensor(tensors_[index].name)
          .in_file(folder_.path());
    return sink_->write(index - shards_[current_].first, bytes);
  }

  Status finish() override {
    if (!tensors_.empty()) LLMC_RETURN_IF_ERROR(open_shard_of(tensors_.size() - 1));
    if (sink_ == nullptr) LLMC_RETURN_IF_ERROR(open_shard());
    LLMC_RETURN_IF_ERROR(sink_->finish());
    sink_.reset();
    if (shards_.size() > 1)
      LLMC_RETURN_IF_ERROR(
          folder_.write_text(index_file_name(folder_.stem()), safetensors_index(tensors_, shards_)));
    return folder_.commit();
  }

 private:
  Status open_shard() {
    const Shard& shard = shards_[current_];
    const auto begin = tensors_.begin() + static_cast<std::ptrdiff_t>(shard.first);
    LLMC_ASSIGN_OR_RETURN(AtomicFile file, folder_.create(shard.file_name));
    LLMC_ASSIGN_OR_RETURN(
        sink_,
        create_safetensors(std::move(file), {begin, begin + static_cast<std::ptrdiff_t>(shard.count)},
                           metadata_, [this](AtomicFile done) { return folder_.add(std::move(done)); }));
    return Status::ok();
  }

  // Finishes the shards before the one that holds tensor `index` and makes that the open one.
  Status open_shard_of(size_t index) {
    if (sink_ == nullptr) LLMC_RETURN_IF_ERROR(open_shard());
    while (index >= shards_[current_].first + shards_[current_].count) {
      LLMC_RETURN_IF_ERROR(sink_->finish());
      sink_.reset();
      ++current_;
      LLMC_RETURN_IF_ERROR(open_shard());
    }
    return Status::ok();
  }

  ModelFolder& folder_;
  std::vector<TensorInfo> tensors_;
  std::vector<Shard> shards_;
  SafetensorsMetadata metadata_;
  std::unique_ptr<TensorSink> sink_;  // of shards_[current_]
  size_t current_ = 0;
};

}  // namespace

Result<std::vector<Shard>> plan_shards(std::span<const TensorInfo> tensors, uint64_t max_shard_bytes,
                                       const std::string& stem) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<SafetensorsEntry> entries, layout_safetensors(tensors));
  std::vector<Shard> shards(1);
  for (size_t i = 0; i < entries.size(); ++i) {
    const uint64_t bytes = entries[i].end - entries[i].begin;
    const uint64_t used = shards.back().data_bytes;
    const bool full = max_shard_bytes != 0 && (used > max_shard_bytes || bytes > max_shard_bytes - used);
    if (full && shards.back().count > 0)
      shards.push_back({.file_name = {}, .first = i, .count = 0, .data_bytes = 0});
    ++shards.back().count;
    shards.back().data_bytes += bytes;
  }
  for (size_t s = 0; s < shards.size(); ++s) {
    const ShardName name{stem, static_cast<uint32_t>(s + 1), static_cast<uint32_t>(shards.size())};
    shards[s].file_name = shards.size() == 1 ? single_file_name(stem) : shard_file_name(name, ".safetensors");
  }
  return shards;
}

std::string safetensors_index(std::span<const TensorInfo> tensors, std::span<const Shard> shards) {
  uint64_t total = 0;
  std::map<std::string_view, std::string_view> weight_map;
  for (const Shard& shard : shards) {
    total += shard.data_bytes;
    for (size_t i = shard.first; i < shard.first + shard.count; ++i)
      weight_map.emplace(tensors[i].name, shard.file_name);
  }
  std::string text =
      fmt::format("{{\n  \"metadata\": {{\n    \"total_size\": {}\n  }},\n  \"weight_map\": {{", total);
  const char* separator = "\n    ";
  for (const auto& [tensor, file] : weight_map) {
    text += separator;
    append_json_string(tensor, &text);
    text += ": ";
    append_json_string(file, &text);
    separator = ",\n    ";
  }
  return text + "\n  }\n}\n";
}

Status check_sharded_safetensors(const std::vector<TensorInfo>& tensors, const SafetensorsMetadata& metadata,
                                 uint64_t max_shard_bytes) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<Shard> shards, plan_shards(tensors, max_shard_bytes));
  for (const Shard& shard : shards) {
    const auto part = std::span(tensors).subspan(shard.first, shard.count);
    LLMC_ASSIGN_OR_RETURN(const std::vector<SafetensorsEntry> entries, layout_safetensors(part));
    LLMC_RETURN_IF_ERROR(safetensors_header(entries, metadata));
  }
  return Status::ok();
}

Result<std::unique_ptr<TensorSink>> create_sharded_safetensors(ModelFolder& folder,
                                                               std::vector<TensorInfo> tensors,
                                                               const SafetensorsMetadata& metadata,
                                                               uint64_t max_shard_bytes) {
  Result<std::vector<Shard>> shards = plan_shards(tensors, max_shard_bytes, folder.stem());
  if (!shards) return std::move(shards).error().in_file(folder.path());
  return std::unique_ptr<TensorSink>(
      std::make_unique<ShardedSink>(folder, std::move(tensors), std::move(*shards), metadata));
}

}  // namespace llmcodec
