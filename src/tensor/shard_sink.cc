// SPDX-License-Identifier: BSD-3-Clause
// The writing half of shards.h: plan, index text, sink.
#include <algorithm>
#include <iterator>
#include <map>
#include <unordered_set>

#include "base/checked_math.h"
#include "base/error.h"
#include "tensor/json_text.h"
#include "tensor/shard_name.h"
#include "tensor/shards.h"

namespace llmcodec {

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

Result<std::vector<Shard>> plan_part_shards(const std::vector<TensorInfo>& tensors, const ModelParts& parts,
                                            uint64_t max_shard_bytes) {
  std::vector<Shard> all;
  const std::vector<PartRange> ranges = part_ranges(tensors, parts);
  const size_t placed = ranges.empty() ? 0 : ranges.back().first + ranges.back().count;
  if (placed < tensors.size())
    return error(ErrorKind::kInvalidArgument, "belongs to no part of the model, or stands out of their order")
        .in_tensor(tensors[placed].name);
  for (size_t p = 0; p < parts.size(); ++p) {
    LLMC_ASSIGN_OR_RETURN(const std::vector<Shard> shards,
                          plan_shards(local_tensors(tensors, ranges[p]), max_shard_bytes, parts[p].stem));
    for (Shard shard : shards) {
      shard.first += ranges[p].first;
      shard.file_name = part_prefix(parts[p].folder) + shard.file_name;
      all.push_back(std::move(shard));
    }
  }
  return all;
}

const ModelPart& part_of_shard(const Shard& shard, const ModelParts& parts) {
  const size_t slash = shard.file_name.rfind('/');
  const std::string folder = slash == std::string::npos ? "" : shard.file_name.substr(0, slash);
  return *std::ranges::find(parts, folder, &ModelPart::folder);
}

Status write_indices(ModelFolder& folder, const std::vector<TensorInfo>& tensors, const ModelParts& parts,
                     uint64_t max_shard_bytes) {
  const std::vector<PartRange> ranges = part_ranges(tensors, parts);
  for (size_t p = 0; p < parts.size(); ++p) {
    const std::vector<TensorInfo> local = local_tensors(tensors, ranges[p]);
    LLMC_ASSIGN_OR_RETURN(const std::vector<Shard> shards,
                          plan_shards(local, max_shard_bytes, parts[p].stem));
    if (shards.size() < 2) continue;
    LLMC_RETURN_IF_ERROR(folder.write_text(part_prefix(parts[p].folder) + index_file_name(parts[p].stem),
                                           safetensors_index(local, shards)));
  }
  return Status::ok();
}

Status check_sharded_safetensors(const std::vector<TensorInfo>& tensors, const ModelParts& parts,
                                 uint64_t max_shard_bytes) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<Shard> shards, plan_part_shards(tensors, parts, max_shard_bytes));
  for (const Shard& shard : shards) {
    const std::vector<TensorInfo> local = local_tensors(tensors, {shard.first, shard.count});
    LLMC_ASSIGN_OR_RETURN(const std::vector<SafetensorsEntry> entries, layout_safetensors(local));
    LLMC_RETURN_IF_ERROR(safetensors_header(entries, part_of_shard(shard, parts).metadata));
  }
  return Status::ok();
}

Result<std::unique_ptr<TensorSink>> create_sharded_safetensors(ModelFolder& folder,
                                                               std::vector<TensorInfo> tensors,
                                                               const ModelParts& parts,
                                                               uint64_t max_shard_bytes) {
  auto planned = plan_part_shards(tensors, parts, max_shard_bytes);
  if (!planned.is_ok()) return std::move(planned).error().in_file(folder.path());
  const std::vector<Shard> shards = std::move(planned).value();
  const auto open_shard = [&folder, shards, parts](
                              size_t shard,
                              std::vector<TensorInfo> own) -> Result<std::unique_ptr<TensorSink>> {
    LLMC_ASSIGN_OR_RETURN(AtomicFile file, folder.create(shards[shard].file_name));
    return create_safetensors(std::move(file), local_tensors(own, {0, own.size()}),
                              part_of_shard(shards[shard], parts).metadata,
                              [&folder](AtomicFile done) { return folder.add(std::move(done)); });
  };
  const auto commit = [&folder, tensors, parts, max_shard_bytes]() -> Status {
    LLMC_RETURN_IF_ERROR(write_indices(folder, tensors, parts, max_shard_bytes));
    return folder.commit();
  };
  return std::unique_ptr<TensorSink>(
      std::make_unique<PartedSink>(folder, std::move(tensors), shards, open_shard, commit));
}

}  // namespace llmcodec
