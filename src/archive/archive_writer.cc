// SPDX-License-Identifier: BSD-3-Clause
#include "archive/archive_writer.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "archive/archive_reader.h"
#include "archive/packing.h"
#include "base/byte_source.h"
#include "base/checked_math.h"
#include "base/error.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

const OutputLock& lock_of(const std::optional<ModelFolder>& folder, const std::optional<OutputLock>& file) {
  return folder ? folder->lock() : *file;
}

}  // namespace

Result<ArchiveWriter> ArchiveWriter::open(ArchiveLayout layout) {
  ArchiveWriter writer;
  writer.layout_ = std::move(layout);
  writer.shards_.resize(writer.layout_.shards.size());
  if (writer.layout_.folder.empty()) {
    LLMC_ASSIGN_OR_RETURN(OutputLock lock, OutputLock::file(writer.layout_.shards[0].path));
    writer.file_lock_.emplace(std::move(lock));
  } else {
    LLMC_ASSIGN_OR_RETURN(ModelFolder folder,
                          ModelFolder::open(writer.layout_.folder, {.others = writer.layout_.other_files}));
    writer.folder_.emplace(std::move(folder));
  }
  const std::string& journal = writer.layout_.journal_path;
  LLMC_ASSIGN_OR_RETURN(writer.journal_, Journal::open(lock_of(writer.folder_, writer.file_lock_), journal,
                                                       writer.layout_.key, writer.layout_.restart));
  LLMC_RETURN_IF_ERROR(writer.replay());
  return writer;
}

// Takes over entries as long as they are what this run would write and their bytes are really there.
Status ArchiveWriter::replay() {
  size_t good = 0;
  dropped_ = journal_->dropped();
  for (const JournalEntry& entry : journal_->entries()) {
    Status status = replay_entry(entry);
    if (!status.is_ok()) {
      dropped_ = std::move(status).error().in_file(layout_.journal_path).to_string();
      break;
    }
    ++good;
  }
  LLMC_RETURN_IF_ERROR(journal_->keep_only(good));
  // Where there was a journal, or the user says so, what lies under these names is an interrupted run's.
  const bool ours = journal_->existed() || layout_.restart;
  const size_t opened = std::max<size_t>(opened_, 1);
  if (good == 0 && ours && folder_) folder_->discard_partials();
  // A shard may have been begun without any tensor in the journal.
  for (size_t i = 0; ours && i < shards_.size(); ++i) {
    if (shards_[i].entries.empty()) ::unlink(AtomicFile::partial_path(layout_.shards[i].path).c_str());
  }
  for (opened_ = 0; opened_ < opened; ++opened_) {
    const ArchiveShard& shard = layout_.shards[opened_];
    if (shards_[opened_].entries.empty()) {
      LLMC_RETURN_IF_ERROR(create_shard(opened_));
      continue;
    }
    LLMC_ASSIGN_OR_RETURN(shards_[opened_].file,
                          AtomicFile::resume(lock_of(folder_, file_lock_), shard.path,
                                             shard.header_bytes + shards_[opened_].entries.back().end));
  }
  return Status::ok();
}

Status ArchiveWriter::replay_entry(const JournalEntry& entry) {
  const auto planned = layout_.tensors.find(entry.name);
  if (planned == layout_.tensors.end() || done_.contains(entry.name))
    return error(ErrorKind::kCorrupt, "a tensor that is not in the plan, or that comes twice")
        .in_tensor(entry.name);
  OpenShard& shard = shards_[planned->second.shard];
  const uint64_t begin = shard.entries.empty() ? 0 : shard.entries.back().end;
  LLMC_RETURN_IF_ERROR(check_entry(entry, planned->second, begin));
  const ArchiveShard& place = layout_.shards[entry.shard];
  LLMC_ASSIGN_OR_RETURN(const ByteSourcePtr partial, open_byte_source(AtomicFile::partial_path(place.path)));
  LLMC_RETURN_IF_ERROR(check_bytes(entry, place.header_bytes, *partial));
  opened_ = std::max(opened_, entry.shard + 1);
  take_over(entry);
  return Status::ok();
}

// A finished tensor becomes a part of the description.
void ArchiveWriter::take_over(const JournalEntry& entry) {
  OpenShard& shard = shards_[entry.shard];
  shard.entries.insert(shard.entries.end(), entry.entries.begin(), entry.entries.end());
  if (entry.record) {
    shard.records[entry.name] = *entry.record;
  } else {
    const TensorInfo& info = entry.entries[0].info;
    shard.exact[entry.name] = {dtype_info(info.dtype).name, info.shape, entry.exact_xxh3_128};
  }
  if (!entry.memo.empty()) memos_[entry.name] = entry.memo;
  done_.insert(entry.name);
}

Status ArchiveWriter::create_shard(size_t shard) {
  LLMC_ASSIGN_OR_RETURN(shards_[shard].file, AtomicFile::create_resumable(lock_of(folder_, file_lock_),
                                                                          layout_.shards[shard].path));
  const std::vector<std::byte> blank(layout_.shards[shard].header_bytes);
  return shards_[shard].file->write(blank);
}

Status ArchiveWriter::open_shard(size_t shard) {
  for (; opened_ <= shard; ++opened_) LLMC_RETURN_IF_ERROR(create_shard(opened_));
  current_ = shard;
  return Status::ok();
}

Status ArchiveWriter::begin_tensor(const std::string& name, size_t shard) {
  LLMC_RETURN_IF_ERROR(open_shard(shard));
  writing_ = {};
  writing_.name = name;
  writing_.shard = shard;
  parts_.clear();
  return Status::ok();
}

Status ArchiveWriter::begin_part(const std::string& part) {
  part_ = part;
  part_begin_ = data_size();
  part_bytes_ = 0;
  part_checksum_.emplace();
  return Status::ok();
}

Status ArchiveWriter::append(std::span<const std::byte> bytes) {
  part_bytes_ += bytes.size();
  part_checksum_->update(bytes);
  return file().write(bytes);
}

Status ArchiveWriter::end_part() {
  static constexpr std::array<std::byte, 8> kZeros{};
  const uint64_t padded = align_up(part_bytes_, 8);
  LLMC_RETURN_IF_ERROR(file().write(std::span(kZeros).first(padded - part_bytes_)));
  TensorInfo info;
  info.name = writing_.name + "." + part_;
  info.dtype = Dtype::kU8;
  info.shape = {padded};
  parts_[part_] = {part_bytes_, part_checksum_->hex()};
  add_entry(std::move(info), part_begin_);
  return Status::ok();
}

void ArchiveWriter::add_entry(TensorInfo info, uint64_t begin) {
  writing_.entries.push_back({std::move(info), begin, data_size()});
}

Status ArchiveWriter::end_tensor(TensorRecord record, std::vector<double> memo) {
  record.parts = std::move(parts_);
  writing_.record = std::move(record);
  writing_.memo = std::move(memo);
  return finish_tensor();
}

Status ArchiveWriter::finish_tensor() {
  LLMC_RETURN_IF_ERROR(journal_->append(writing_));
  take_over(writing_);
  return Status::ok();
}

Status ArchiveWriter::begin_exact(const TensorInfo& info, size_t shard) {
  LLMC_RETURN_IF_ERROR(begin_tensor(info.name, shard));
  exact_ = info;
  return begin_part("");
}

Status ArchiveWriter::end_exact() {
  writing_.exact_xxh3_128 = part_checksum_->hex();
  add_entry(std::move(exact_), part_begin_);
  return finish_tensor();
}

Status ArchiveWriter::write_own(const std::string& name, std::span<const std::byte> packed,
                                uint64_t content_bytes, size_t shard) {
  LLMC_RETURN_IF_ERROR(open_shard(shard));
  std::vector<std::byte> padded(packed.begin(), packed.end());
  padded.resize(stored_bytes(packed.size(), content_bytes, file().size()));
  LLMC_RETURN_IF_ERROR(begin_exact({name, Dtype::kU8, {padded.size()}}, shard));
  LLMC_RETURN_IF_ERROR(append(padded));
  return end_exact();
}

Status ArchiveWriter::complete_shard(size_t shard, const Description& description) {
  Description own = description;
  own.tensors = std::move(shards_[shard].records);
  own.exact = std::move(shards_[shard].exact);
  own.shard = shard;
  own.shards = shards_.size();
  if (shard > 0) own.carried.clear();
  keep_own_entries(&own);
  const std::string text = to_text(own);
  std::vector<std::byte> packed = pack_description(text);
  packed.resize(stored_bytes(packed.size(), text.size(), shards_[shard].file->size()));
  current_ = shard;
  const uint64_t begin = data_size();
  LLMC_RETURN_IF_ERROR(file().write(packed));
  shards_[shard].entries.push_back(
      {{description_name(shard), Dtype::kU8, {packed.size()}}, begin, data_size()});
  auto header =
      safetensors_header(shards_[shard].entries, archive_metadata(text), layout_.shards[shard].header_bytes);
  if (!header.is_ok()) return std::move(header).error().in_file(layout_.shards[shard].path);
  return shards_[shard].file->write_at(0, std::as_bytes(std::span(*header)));
}

std::string ArchiveWriter::archive_id(const Description& description) const {
  Checksum checksum;
  const auto add = [&](const std::string& text) { checksum.update(std::as_bytes(std::span(text))); };
  for (const OpenShard& shard : shards_) {
    for (const auto& [name, record] : shard.records) add(name + to_json(record).dump());
    for (const auto& [name, record] : shard.exact) add(name + record.xxh3_128);
  }
  for (const auto& [name, copy] : description.same_as) add(name + copy.original);
  return checksum.hex();
}

// What is on its way to the final names, as any reader will find it there.
Status ArchiveWriter::read_back(const Check& check) const {
  std::vector<ByteSourcePtr> files;
  for (const OpenShard& shard : shards_) {
    LLMC_ASSIGN_OR_RETURN(ByteSourcePtr file, open_byte_source(shard.file->partial()));
    files.push_back(std::move(file));
  }
  const auto archive = ArchiveReader::open_shards(files);
  Status status = archive.is_ok() ? Status::ok() : Status(archive.error());
  if (status.is_ok() && check) status = check(**archive);
  if (status.is_ok()) return status;
  Error failure = std::move(status).error();
  failure.message = "the archive just written cannot be read back, and is removed: " + failure.message;
  if (failure.kind == ErrorKind::kCorrupt) failure.kind = ErrorKind::kInternal;
  return failure;
}

Status ArchiveWriter::finish(const Description& content, const Check& check) {
  LLMC_RETURN_IF_ERROR(open_shard(shards_.size() - 1));
  Description description = content;
  if (shards_.size() > 1) description.archive_id = archive_id(content);
  std::vector<TensorInfo> infos;
  std::vector<Shard> shards;
  for (size_t i = 0; i < shards_.size(); ++i) {
    LLMC_RETURN_IF_ERROR(complete_shard(i, description));
    Shard shard{std::filesystem::path(layout_.shards[i].path).filename().string(), infos.size(),
                shards_[i].entries.size(), shards_[i].file->size() - layout_.shards[i].header_bytes};
    for (const SafetensorsEntry& entry : shards_[i].entries) infos.push_back(entry.info);
    shards.push_back(std::move(shard));
  }
  LLMC_RETURN_IF_ERROR(read_back(check));
  if (!layout_.index_path.empty())
    LLMC_RETURN_IF_ERROR(folder_->write_text(kIndexFileName, safetensors_index(infos, shards)));
  LLMC_RETURN_IF_ERROR(commit());
  journal_->remove();
  return Status::ok();
}

Status ArchiveWriter::commit() {
  if (!folder_) return shards_[0].file->commit();
  for (OpenShard& shard : shards_) LLMC_RETURN_IF_ERROR(folder_->add(std::move(*shard.file)));
  return folder_->commit();
}

void ArchiveWriter::keep_for_resume() {
  for (OpenShard& shard : shards_) {
    if (shard.file) shard.file->keep_partial();
  }
}

void ArchiveWriter::abandon() {
  shards_.clear();
  journal_->remove();
  folder_.reset();
  file_lock_.reset();
}

uint64_t ArchiveWriter::total_bytes() const {
  uint64_t bytes = 0;
  for (const OpenShard& shard : shards_) {
    if (shard.file) bytes += shard.file->size();
  }
  return bytes;
}

}  // namespace llmcodec
