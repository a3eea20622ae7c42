// SPDX-License-Identifier: BSD-3-Clause
#include "archive/archive_reader.h"

#include <filesystem>

#include "archive/checksum.h"
#include "base/checked_math.h"
#include "tensor/model_source.h"
#include "tensor/safetensors.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

constexpr char kOwnPrefix[] = "llmcodec.";

// Where the weights of `path` are: the file itself, or what a folder holds.
std::string weights_path(const std::string& path) {
  if (!std::filesystem::is_directory(path)) return path;
  const std::filesystem::path folder(path);
  const auto index = folder / kIndexFileName;
  return (std::filesystem::exists(index) ? index : folder / kSingleFileName).string();
}

bool is_index(const std::string& path) {
  return path.ends_with(".json");
}

}  // namespace

Result<std::unique_ptr<ArchiveReader>> ArchiveReader::open(const std::string& path) {
  const std::string weights = weights_path(path);
  std::unique_ptr<ArchiveReader> reader(new ArchiveReader);
  if (is_index(weights)) {
    LLMC_ASSIGN_OR_RETURN(std::unique_ptr<ShardedSource> sharded, ShardedSource::open(weights));
    reader->files_ = sharded->shard_paths();
    reader->source_ = std::move(sharded);
  } else {
    LLMC_ASSIGN_OR_RETURN(reader->source_, SafetensorsFile::open(weights));
    reader->files_ = {weights};
  }
  std::error_code ignored;
  for (const std::string& file : reader->files_)
    reader->total_bytes_ += std::filesystem::file_size(file, ignored);
  if (is_index(weights)) reader->total_bytes_ += std::filesystem::file_size(weights, ignored);
  LLMC_RETURN_IF_ERROR(reader->load_descriptions());
  LLMC_RETURN_IF_ERROR(reader->match_parts());
  return reader;
}

bool ArchiveReader::is_archive(const std::string& path) {
  const std::string weights = weights_path(path);
  if (is_index(weights)) {
    auto sharded = ShardedSource::open(weights);
    return sharded.is_ok() && sharded.value()->metadata().contains(kMetadataKey);
  }
  auto file = SafetensorsFile::open(weights);
  return file.is_ok() && file.value()->metadata().contains(kMetadataKey);
}

// Each shard's JSON describes its own tensors; what is said of the source is the same in all.
Status ArchiveReader::load_descriptions() {
  for (const std::string& path : files_) {
    LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<SafetensorsFile> file, SafetensorsFile::open(path));
    const auto text = file->metadata().find(kMetadataKey);
    if (text == file->metadata().end())
      return error(ErrorKind::kInvalidArgument, "is no llmcodec archive (its metadata has no '{}')",
                   kMetadataKey)
          .in_file(path);
    auto description = parse_description(text->second);
    if (!description.is_ok()) return std::move(description).error().in_file(path);
    description_.tensors.merge(description.value().tensors);
    description.value().tensors = std::move(description_.tensors);
    description_ = std::move(description).value();
  }
  return Status::ok();
}

Status ArchiveReader::match_parts() {
  for (size_t i = 0; i < source_->tensors().size(); ++i) index_[source_->tensors()[i].name] = i;
  std::set<std::string> part_names;
  for (const auto& [name, record] : description_.tensors) {
    for (const auto& [part, info] : record.parts) {
      const std::string full = name + "." + part;
      const auto found = index_.find(full);
      if (found == index_.end())
        return error(ErrorKind::kCorrupt, "part '{}' is described but absent", part)
            .in_file(files_[0])
            .in_tensor(name);
      if (source_->bytes(found->second).size() != align_up(info.bytes, 8))
        return corrupt_part(name, part, found->second, "has another length than described");
      part_names.insert(full);
    }
  }
  for (size_t i = 0; i < source_->tensors().size(); ++i) {
    const std::string& name = source_->tensors()[i].name;
    if (!part_names.contains(name) && !name.starts_with(kOwnPrefix)) exact_.push_back(i);
  }
  return Status::ok();
}

Error ArchiveReader::corrupt_part(const std::string& tensor, const std::string& part, size_t index,
                                  const char* what) const {
  return error(ErrorKind::kCorrupt, "part '{}' {}", part, what)
      .in_file(source_->file(index))
      .in_tensor(tensor)
      .at_offset(source_->offset(index));
}

std::optional<std::span<const std::byte>> ArchiveReader::own(const std::string& name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) return std::nullopt;
  return source_->bytes(found->second);
}

bool ArchiveReader::has_part(const std::string& tensor, const std::string& part) const {
  const auto record = description_.tensors.find(tensor);
  return record != description_.tensors.end() && record->second.parts.contains(part);
}

Result<std::span<const std::byte>> ArchiveReader::part(const std::string& tensor, const std::string& part,
                                                       bool verify) const {
  const auto record = description_.tensors.find(tensor);
  if (record == description_.tensors.end() || !record->second.parts.contains(part))
    return error(ErrorKind::kCorrupt, "part '{}' is needed but absent", part)
        .in_file(files_[0])
        .in_tensor(tensor);
  const size_t index = index_.at(tensor + "." + part);
  const PartRecord& info = record->second.parts.at(part);
  const std::span<const std::byte> bytes = source_->bytes(index).first(info.bytes);
  if (verify && xxh3_128(bytes) != info.xxh3_128)
    return corrupt_part(tensor, part, index, "fails its checksum");
  return bytes;
}

void ArchiveReader::release_part(const std::string& tensor, const std::string& part) const {
  const size_t index = index_.at(tensor + "." + part);
  source_->release(index, 0, source_->tensors()[index].elements());
}

}  // namespace llmcodec
