// SPDX-License-Identifier: BSD-3-Clause
#include "archive/archive_reader.h"

#include <algorithm>
#include <filesystem>

#include "archive/checksum.h"
#include "archive/packing.h"
#include "archive/part_names.h"
#include "base/checked_math.h"
#include "tensor/model_source.h"
#include "tensor/safetensors.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

constexpr char kOwnPrefix[] = "llmcodec.";
constexpr uint64_t kPieceBytes = 16 << 20;  // whole elements of every dtype

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
    return sharded.is_ok() && llmcodec::is_archive(sharded.value()->metadata());
  }
  auto file = SafetensorsFile::open(weights);
  return file.is_ok() && llmcodec::is_archive(file.value()->metadata());
}

Result<Description> ArchiveReader::load_description(const SafetensorsFile& file) {
  if (!llmcodec::is_archive(file.metadata()))
    return error(ErrorKind::kInvalidArgument, "is no llmcodec archive (its metadata has no '{}': '{}')",
                 kFormatKey, kFormatName);
  for (size_t i = 0; i < file.tensors().size(); ++i) {
    const std::string& name = file.tensors()[i].name;
    if (!name.starts_with(kDescriptionPrefix)) continue;
    auto description = unpack_description(file.metadata(), file.bytes(i));
    if (!description.is_ok()) return std::move(description).error().in_tensor(name);
    if (name != description_name(description->shard))
      return error(ErrorKind::kCorrupt, "describes shard {}", description->shard).in_tensor(name);
    described_.insert(name);
    return description;
  }
  return error(ErrorKind::kCorrupt, "has no tensor '{}'", description_name(0));
}

// Each shard's JSON describes its own tensors; what is said of the source is the same in all. No shard may be
// missing: an index that lists fewer would give a smaller model.
Status ArchiveReader::load_descriptions() {
  std::set<uint64_t> shards;
  for (const std::string& path : files_) {
    LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<SafetensorsFile> file, SafetensorsFile::open(path));
    auto parsed = load_description(*file);
    if (!parsed.is_ok()) return std::move(parsed).error().in_file(path);
    Description& description = parsed.value();
    if (description.shards != files_.size() || !shards.insert(description.shard).second)
      return error(ErrorKind::kCorrupt, "is shard {} of {}, but {} files were found", description.shard + 1,
                   description.shards, files_.size())
          .in_file(path);
    description.tensors.merge(description_.tensors);
    description.exact.merge(description_.exact);
    description_ = std::move(description);
  }
  return Status::ok();
}

Status ArchiveReader::match_parts() {
  for (size_t i = 0; i < source_->tensors().size(); ++i) index_[source_->tensors()[i].name] = i;
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
      if (!part_name::is_known(part) || source_->tensors()[found->second].dtype != Dtype::kU8)
        return corrupt_part(name, part, found->second, "has a name or a dtype that the format does not know");
      described_.insert(full);
    }
  }
  return match_exact();
}

// What is no part is a tensor of the description's list, as it is there, and the other way round.
Status ArchiveReader::match_exact() {
  for (size_t i = 0; i < source_->tensors().size(); ++i) {
    const TensorInfo& info = source_->tensors()[i];
    if (described_.contains(info.name)) continue;
    const auto record = description_.exact.find(info.name);
    if (record == description_.exact.end() || record->second.dtype != dtype_info(info.dtype).name ||
        record->second.shape != info.shape)
      return error(ErrorKind::kCorrupt, "is not what the description says, or not in it")
          .in_file(source_->file(i))
          .in_tensor(info.name);
    if (!info.name.starts_with(kOwnPrefix)) exact_.push_back(i);
  }
  for (const auto& [name, record] : description_.exact) {
    if (!index_.contains(name) || described_.contains(name))
      return error(ErrorKind::kCorrupt, "is described but absent").in_file(files_[0]).in_tensor(name);
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

uint64_t ArchiveReader::own_bytes(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? 0 : source_->bytes(found->second).size();
}

std::string ArchiveReader::checksum_of(size_t index, uint64_t bytes) const {
  const std::span<const std::byte> all = source_->bytes(index).first(bytes);
  const uint64_t element = dtype_info(source_->tensors()[index].dtype).block_bytes;
  Checksum checksum;
  for (uint64_t begin = 0; begin < bytes; begin += kPieceBytes) {
    const uint64_t size = std::min<uint64_t>(kPieceBytes, bytes - begin);
    checksum.update(all.subspan(begin, size));
    if (bytes > kPieceBytes) source_->release(index, begin / element, size / element);
  }
  return checksum.hex();
}

Result<std::span<const std::byte>> ArchiveReader::exact(const std::string& name) const {
  const auto found = description_.exact.find(name);
  if (found == description_.exact.end())
    return error(ErrorKind::kCorrupt, "is absent").in_file(files_[0]).in_tensor(name);
  const size_t index = index_.at(name);
  const std::span<const std::byte> bytes = source_->bytes(index);
  if (checksum_of(index, bytes.size()) != found->second.xxh3_128)
    return error(ErrorKind::kCorrupt, "fails its checksum")
        .in_file(source_->file(index))
        .in_tensor(name)
        .at_offset(source_->offset(index));
  return bytes;
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
  if (verify && checksum_of(index, info.bytes) != info.xxh3_128)
    return corrupt_part(tensor, part, index, "fails its checksum");
  return bytes;
}

Result<std::vector<std::byte>> ArchiveReader::packed_part(const std::string& tensor, const std::string& name,
                                                          uint64_t max_bytes) const {
  LLMC_ASSIGN_OR_RETURN(const std::span<const std::byte> packed, part(tensor, name));
  auto content = unpack(packed, max_bytes);
  if (!content.is_ok()) {
    Error failure = std::move(content).error();
    failure.message = fmt::format("part '{}' {}", name, failure.message);
    const size_t index = index_.at(tensor + "." + name);
    return std::move(failure)
        .in_file(source_->file(index))
        .in_tensor(tensor)
        .at_offset(source_->offset(index));
  }
  return content;
}

void ArchiveReader::release_exact(const std::string& name) const {
  const size_t index = index_.at(name);
  source_->release(index, 0, source_->tensors()[index].elements());
}

void ArchiveReader::release_part(const std::string& tensor, const std::string& part, uint64_t begin,
                                 uint64_t bytes) const {
  const size_t index = index_.at(tensor + "." + part);
  const uint64_t element = dtype_info(source_->tensors()[index].dtype).block_bytes;
  source_->release(index, begin / element, bytes / element);
}

}  // namespace llmcodec
