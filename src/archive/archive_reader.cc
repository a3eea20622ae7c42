// SPDX-License-Identifier: BSD-3-Clause
#include "archive/archive_reader.h"

#include <algorithm>
#include <filesystem>

#include "archive/checksum.h"
#include "archive/packing.h"
#include "archive/part_names.h"
#include "base/checked_math.h"
#include "base/error.h"
#include "base/limits.h"
#include "tensor/model_files.h"
#include "tensor/model_folder.h"
#include "tensor/safetensors.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

// Where the weights of `path` are: the file itself, or what a folder holds.
std::string weights_path(const std::string& path) {
  std::error_code code;  // what cannot be looked at cannot be opened either, which says why
  if (!std::filesystem::is_directory(path, code)) return path;
  const std::filesystem::path folder(path);
  const auto index = folder / kIndexFileName;
  return (std::filesystem::exists(index, code) ? index : folder / kSingleFileName).string();
}

bool is_index(const std::string& path) {
  return path.ends_with(".json");
}

// Copies cost a line of the description each, and time and room like any tensor: together they may have what streams of
// as many bytes as the archive has could hold.
Status check_copied_elements(const std::map<std::string, SameAsRecord>& copies, uint64_t archive_bytes) {
  const uint64_t most = checked_mul(kMaxSamplesPerStreamByte, archive_bytes).value_or(UINT64_MAX);
  uint64_t elements = 0;
  for (const auto& [name, copy] : copies) {
    const auto own = checked_product(copy.shape);
    const auto sum = own ? checked_add(elements, *own) : std::nullopt;
    if (!sum || *sum > most)
      return error(ErrorKind::kLimit,
                   "copies of tensors have over {} elements, more than {} bytes may restore", most,
                   archive_bytes)
          .in_tensor(name);
    elements = *sum;
  }
  return Status::ok();
}

}  // namespace

Result<std::unique_ptr<ArchiveReader>> ArchiveReader::open(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(const std::string place, resolve_hub_folder(path));
  LLMC_RETURN_IF_ERROR(check_folder_is_whole(place));
  const std::string weights = weights_path(place);
  if (!is_index(weights)) {
    LLMC_ASSIGN_OR_RETURN(ByteSourcePtr bytes, open_byte_source(weights));
    return open(std::move(bytes));
  }
  std::unique_ptr<ArchiveReader> reader(new ArchiveReader);
  LLMC_ASSIGN_OR_RETURN(std::unique_ptr<ShardedSource> sharded, ShardedSource::open(weights));
  std::vector<const SafetensorsFile*> files;
  for (const auto& shard : sharded->shards()) files.push_back(shard.get());
  std::error_code ignored;
  reader->total_bytes_ = std::filesystem::file_size(weights, ignored);
  reader->all_files_ = {weights};
  reader->source_ = std::move(sharded);
  LLMC_RETURN_IF_ERROR(reader->load(files));
  return reader;
}

Result<std::unique_ptr<ArchiveReader>> ArchiveReader::open(ByteSourcePtr bytes) {
  LLMC_ASSIGN_OR_RETURN(std::unique_ptr<SafetensorsFile> file, SafetensorsFile::open(std::move(bytes)));
  const SafetensorsFile* const files[] = {file.get()};
  std::unique_ptr<ArchiveReader> reader(new ArchiveReader);
  reader->source_ = std::move(file);
  LLMC_RETURN_IF_ERROR(reader->load(files));
  return reader;
}

Result<std::unique_ptr<ArchiveReader>> ArchiveReader::open_shards(std::span<const ByteSourcePtr> files) {
  if (files.size() == 1) return open(files[0]);
  std::vector<std::unique_ptr<SafetensorsFile>> shards;
  std::vector<const SafetensorsFile*> borrowed;
  for (const ByteSourcePtr& file : files) {
    LLMC_ASSIGN_OR_RETURN(std::unique_ptr<SafetensorsFile> shard, SafetensorsFile::open(file));
    borrowed.push_back(shard.get());
    shards.push_back(std::move(shard));
  }
  std::unique_ptr<ArchiveReader> reader(new ArchiveReader);
  LLMC_ASSIGN_OR_RETURN(reader->source_, ShardedSource::join(std::move(shards)));
  LLMC_RETURN_IF_ERROR(reader->load(borrowed));
  return reader;
}

Status ArchiveReader::load(std::span<const SafetensorsFile* const> files) {
  LLMC_RETURN_IF_ERROR(load_descriptions(files));
  all_files_.insert(all_files_.end(), files_.begin(), files_.end());
  return match_parts();
}

bool ArchiveReader::is_archive(const std::string& path) {
  const auto place = resolve_hub_folder(path);
  if (!place.is_ok()) return false;
  const std::string weights = weights_path(*place);
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
    std::vector<std::byte> packed(file.byte_size(i));
    LLMC_RETURN_IF_ERROR(file.read(i, 0, packed));
    auto description = unpack_description(file.metadata(), packed, file.file_bytes());
    if (!description.is_ok()) return std::move(description).error().in_tensor(name);
    if (name != description_name(description->shard))
      return error(ErrorKind::kCorrupt, "describes shard {}", description->shard).in_tensor(name);
    described_.insert(name);
    return description;
  }
  return error(ErrorKind::kCorrupt, "has no tensor '{}'", description_name(0));
}

// Each shard's JSON describes its own tensors; what is said of the source is the same in all. No shard may be
// missing: an index that lists fewer would give a smaller model. None may be of another run: each is sound by
// itself, and together they would be a model that nobody has made.
Status ArchiveReader::load_descriptions(std::span<const SafetensorsFile* const> files) {
  std::set<uint64_t> shards;
  for (const SafetensorsFile* file : files) {
    auto parsed = load_description(*file);
    if (!parsed.is_ok()) return std::move(parsed).error().in_file(file->path());
    Description& description = parsed.value();
    if (description.shards != files.size() || !shards.insert(description.shard).second)
      return error(ErrorKind::kCorrupt, "is shard {} of {}, but {} files were found", description.shard + 1,
                   description.shards, files.size())
          .in_file(file->path());
    if (!files_.empty() && !description.is_of_same_archive(description_))
      return error(ErrorKind::kCorrupt, "belongs to another archive than {}", files_[0])
          .in_file(file->path());
    files_.push_back(file->path());
    total_bytes_ += file->file_bytes();
    // Into those found before, so that many shards cost no more than one.
    description_.tensors.merge(description.tensors);
    description_.exact.merge(description.exact);
    LLMC_RETURN_IF_ERROR(merge_copies(&description));
    description_.quantised.merge(description.quantised);
    description_.carried.merge(description.carried);
    description.tensors.swap(description_.tensors);
    description.exact.swap(description_.exact);
    description.same_as.swap(description_.same_as);
    description.quantised.swap(description_.quantised);
    description.carried.swap(description_.carried);
    description_ = std::move(description);
  }
  if (Status status = check_no_empty_part(description_); !status.is_ok())
    return std::move(status).error().in_file(files_[0]);
  return Status::ok();
}

Status ArchiveReader::merge_copies(Description* shard) {
  description_.same_as.merge(shard->same_as);
  if (shard->same_as.empty()) return Status::ok();
  return error(ErrorKind::kCorrupt, "is the same as others in two shards")
      .in_file(files_.back())
      .in_tensor(shard->same_as.begin()->first);
}

const std::string& ArchiveReader::stored_name(const std::string& name) const {
  const auto copy = description_.same_as.find(name);
  return copy == description_.same_as.end() ? name : copy->second.original;
}

const std::string& ArchiveReader::file_of(const std::string& name) const {
  const std::string& stored = stored_name(name);
  const auto record = description_.tensors.find(stored);
  const bool has_parts = record != description_.tensors.end() && !record->second.parts.empty();
  const auto place = index_.find(has_parts ? stored + "." + record->second.parts.begin()->first : stored);
  return place == index_.end() ? files_[0] : source_->file(place->second);
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
      LLMC_ASSIGN_OR_RETURN(const CheckedBytes place, find_part(name, part));
      const uint64_t size = source_->byte_size(place.index);
      if (info.bytes > size || size != align_up(info.bytes, 8))  // near 2^64 the rounding alone would wrap
        return corrupt(place, "has another length than described");
      if (!part_name::is_known(part) || source_->tensors()[place.index].dtype != Dtype::kU8)
        return corrupt(place, "has a name or a dtype that the format does not know");
      const auto dtype = dtype_from_name(record.dtype);
      if (part == part_name::kData && dtype &&
          dtype_bytes(*dtype, TensorInfo{name, *dtype, record.shape}.elements()) != info.bytes)
        return corrupt(place, "has another length than its tensor");
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
    if (!info.name.starts_with(kOwnPrefix)) {
      exact_.push_back(i);
    } else if (info.name != kGgufHeaderName) {  // what has no meaning would be lost without a word
      return error(ErrorKind::kCorrupt, "is none of the tensors that the format has of its own")
          .in_file(source_->file(i))
          .in_tensor(info.name);
    }
  }
  for (const auto& [name, record] : description_.exact) {
    if (!index_.contains(name) || described_.contains(name))
      return error(ErrorKind::kCorrupt, "is described but absent").in_file(files_[0]).in_tensor(name);
  }
  // Of its own shard the description was checked.
  for (const auto& [name, copy] : description_.same_as) {
    if (index_.contains(name) || description_.tensors.contains(name))
      return error(ErrorKind::kCorrupt, "is the same as '{}', and is stored as well", copy.original)
          .in_file(file_of(name))
          .in_tensor(name);
  }
  Status copies = check_copied_elements(description_.same_as, total_bytes_);
  if (copies.is_ok()) return copies;
  Error failure = std::move(copies).error();
  std::string file = file_of(failure.tensor);
  return std::move(failure).in_file(std::move(file));
}

Error ArchiveReader::corrupt(const CheckedBytes& place, const std::string& what) const {
  return error(ErrorKind::kCorrupt, "{}{}", place.what, what)
      .in_file(source_->file(place.index))
      .in_tensor(place.tensor)
      .at_offset(source_->offset(place.index));
}

uint64_t ArchiveReader::own_bytes(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? 0 : source_->byte_size(found->second);
}

Result<ArchiveReader::CheckedBytes> ArchiveReader::find_exact(const std::string& name) const {
  const auto found = description_.exact.find(name);
  if (found == description_.exact.end())
    return error(ErrorKind::kCorrupt, "is absent").in_file(files_[0]).in_tensor(name);
  const size_t index = index_.at(name);
  const uint64_t unit = dtype_info(source_->tensors()[index].dtype).block_bytes;
  return CheckedBytes{index, source_->byte_size(index), unit, &found->second.xxh3_128, "", name};
}

Result<ArchiveReader::CheckedBytes> ArchiveReader::find_part(const std::string& tensor,
                                                             const std::string& part) const {
  const auto record = description_.tensors.find(tensor);
  if (record == description_.tensors.end() || !record->second.parts.contains(part))
    return error(ErrorKind::kCorrupt, "part '{}' is needed but absent", part)
        .in_file(files_[0])
        .in_tensor(tensor);
  const PartRecord& info = record->second.parts.at(part);
  const auto dtype = dtype_from_name(record->second.dtype);
  const uint64_t unit = part == part_name::kData && dtype ? dtype_info(*dtype).block_bytes : 1;
  return CheckedBytes{index_.at(tensor + "." + part),  info.bytes, unit, &info.xxh3_128,
                      fmt::format("part '{}' ", part), tensor};
}

Status ArchiveReader::visit(const CheckedBytes& place, const PieceVisitor& visit) const {
  Checksum checksum;
  LLMC_RETURN_IF_ERROR(
      source_->visit(place.index, place.bytes, place.unit, [&](std::span<const std::byte> piece) {
        checksum.update(piece);
        return visit(piece);
      }));
  return check(place, checksum.hex());
}

Status ArchiveReader::check(const CheckedBytes& place, const std::string& xxh3_128) const {
  return xxh3_128 == *place.xxh3_128 ? Status::ok() : corrupt(place, "fails its checksum");
}

Result<std::vector<std::byte>> ArchiveReader::read(const CheckedBytes& place) const {
  std::vector<std::byte> bytes(place.bytes);
  LLMC_RETURN_IF_ERROR(source_->read(place.index, 0, bytes));
  LLMC_RETURN_IF_ERROR(check(place, xxh3_128(bytes)));
  return bytes;
}

Result<std::vector<std::byte>> ArchiveReader::exact(const std::string& name) const {
  LLMC_ASSIGN_OR_RETURN(const CheckedBytes place, find_exact(name));
  return read(place);
}

Status ArchiveReader::visit_exact(const std::string& name, const PieceVisitor& visitor) const {
  LLMC_ASSIGN_OR_RETURN(const CheckedBytes place, find_exact(name));
  return visit(place, visitor);
}

Result<std::vector<std::byte>> ArchiveReader::part(const std::string& tensor, const std::string& part) const {
  LLMC_ASSIGN_OR_RETURN(const CheckedBytes place, find_part(tensor, part));
  return read(place);
}

Status ArchiveReader::visit_part(const std::string& tensor, const std::string& part,
                                 const PieceVisitor& visitor) const {
  LLMC_ASSIGN_OR_RETURN(const CheckedBytes place, find_part(tensor, part));
  return visit(place, visitor);
}

Status ArchiveReader::read_part(const std::string& tensor, const std::string& part, uint64_t offset,
                                std::span<std::byte> out) const {
  LLMC_ASSIGN_OR_RETURN(const CheckedBytes place, find_part(tensor, part));
  return source_->read(place.index, offset, out);
}

Status ArchiveReader::check_part(const std::string& tensor, const std::string& part,
                                 const Checksum& checksum) const {
  LLMC_ASSIGN_OR_RETURN(const CheckedBytes place, find_part(tensor, part));
  return check(place, checksum.hex());
}

Result<std::vector<std::byte>> ArchiveReader::packed_part(const std::string& tensor, const std::string& name,
                                                          uint64_t max_bytes) const {
  LLMC_ASSIGN_OR_RETURN(const CheckedBytes place, find_part(tensor, name));
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> packed, read(place));
  auto content = unpack(packed, max_bytes);
  if (content.is_ok()) return content;
  Error failure = corrupt(place, content.error().message);
  failure.kind = content.error().kind;
  return failure;
}

}  // namespace llmcodec
