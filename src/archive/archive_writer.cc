// SPDX-License-Identifier: BSD-3-Clause
#include "archive/archive_writer.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>

#include "archive/archive_reader.h"
#include "archive/packing.h"
#include "base/checked_math.h"
#include "base/error.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

using nlohmann::json;

json entry_to_json(const SafetensorsEntry& entry) {
  return {entry.info.name, dtype_info(entry.info.dtype).name, entry.info.shape, entry.begin, entry.end};
}

// A broken line is the disk's fault: the run goes on from the last whole one.
Result<SafetensorsEntry> entry_from_json(const json& value) {
  const bool valid = value.is_array() && value.size() == 5 && value[0].is_string() && value[1].is_string() &&
                     value[2].is_array() && value[3].is_number_unsigned() && value[4].is_number_unsigned();
  const auto dtype = valid ? dtype_from_name(value[1].get<std::string>()) : std::nullopt;
  if (!dtype) return error(ErrorKind::kCorrupt, "journal has a broken entry");
  SafetensorsEntry entry;
  entry.info.name = value[0].get<std::string>();
  entry.info.dtype = *dtype;
  for (const json& side : value[2]) {
    if (!side.is_number_unsigned()) return error(ErrorKind::kCorrupt, "journal has a broken entry");
    entry.info.shape.push_back(side.get<uint64_t>());
  }
  entry.begin = value[3].get<uint64_t>();
  entry.end = value[4].get<uint64_t>();
  return entry;
}

// Checksum of data bytes [begin, end) of a partial file.
Result<std::string> checksum_of_range(const std::string& path, uint64_t begin, uint64_t end) {
  LLMC_ASSIGN_OR_RETURN(const ByteSourcePtr file, open_byte_source(path));
  if (begin > end || end > file->size())
    return error(ErrorKind::kIo, "partial file is shorter than recorded").in_file(path);
  return xxh3_128_of_range(*file, begin, end - begin);
}

}  // namespace

Result<ArchiveWriter> ArchiveWriter::open(ArchiveLayout layout) {
  ArchiveWriter writer;
  writer.layout_ = std::move(layout);
  writer.shards_.resize(writer.layout_.shards.size());
  std::vector<json> lines;
  LLMC_ASSIGN_OR_RETURN(writer.journal_, Journal::open(writer.layout_.journal_path, writer.layout_.key,
                                                       writer.layout_.restart, &lines));
  LLMC_RETURN_IF_ERROR(lines.empty() ? writer.open_shard(0) : writer.replay(lines));
  return writer;
}

// Takes over entries as long as their bytes are really there: a power cut may have lost data that the journal
// names.
Status ArchiveWriter::replay(const std::vector<json>& lines) {
  size_t good = 0;
  while (good < lines.size() && replay_line(lines[good]).is_ok()) ++good;
  LLMC_RETURN_IF_ERROR(journal_->keep_only(good));
  const size_t opened = std::max<size_t>(opened_, 1);
  for (opened_ = 0; opened_ < opened; ++opened_) {
    const size_t i = opened_;
    const uint64_t data = shards_[i].entries.empty() ? 0 : shards_[i].entries.back().end;
    auto file = AtomicFile::resume(layout_.shards[i].path, layout_.shards[i].header_bytes + data);
    if (file.is_ok()) {
      shards_[i].file = std::move(file).value();
    } else if (data == 0) {
      LLMC_RETURN_IF_ERROR(create_shard(i));
    } else {
      return std::move(file).error();
    }
  }
  return Status::ok();
}

Status ArchiveWriter::replay_line(const json& line) {
  const size_t shard = line.value("shard", size_t{0});
  if (!line.contains("name") || !line.contains("entries") || shard >= shards_.size())
    return error(ErrorKind::kCorrupt, "journal has a broken entry");
  std::vector<SafetensorsEntry> entries;
  for (const json& value : line["entries"]) {
    LLMC_ASSIGN_OR_RETURN(SafetensorsEntry entry, entry_from_json(value));
    entries.push_back(std::move(entry));
  }
  const std::string name = line["name"].get<std::string>();
  OpenShard replayed;
  replayed.entries = entries;
  LLMC_RETURN_IF_ERROR(replay_record(line, name, &replayed));
  for (const SafetensorsEntry& entry : entries) {
    if (replayed.exact.contains(entry.info.name)) {
      LLMC_RETURN_IF_ERROR(
          check_entry(shard, entry, entry.end - entry.begin, replayed.exact[entry.info.name].xxh3_128));
      continue;
    }
    const std::string part = entry.info.name.substr(std::min(name.size() + 1, entry.info.name.size()));
    const PartRecord& info = replayed.records[name].parts[part];
    LLMC_RETURN_IF_ERROR(check_entry(shard, entry, info.bytes, info.xxh3_128));
  }
  opened_ = std::max(opened_, shard + 1);
  shards_[shard].entries.insert(shards_[shard].entries.end(), entries.begin(), entries.end());
  shards_[shard].records.merge(replayed.records);
  shards_[shard].exact.merge(replayed.exact);
  if (line.contains("memo")) memos_[name] = line["memo"];
  done_.insert(name);
  return Status::ok();
}

// The description of the tensor: a record, or of one stored exactly what its entry does not say.
Status ArchiveWriter::replay_record(const json& line, const std::string& name, OpenShard* shard) {
  if (line.contains("record")) {
    LLMC_ASSIGN_OR_RETURN(shard->records[name], tensor_record_from_json(line["record"]));
    return Status::ok();
  }
  if (shard->entries.size() != 1 || !line.contains("exact") || !line["exact"].is_string())
    return error(ErrorKind::kCorrupt, "journal has a broken entry");
  const TensorInfo& info = shard->entries[0].info;
  shard->exact[name] = {dtype_info(info.dtype).name, info.shape, line["exact"].get<std::string>()};
  return Status::ok();
}

// The entry's first `bytes` are in the partial file as they were written.
Status ArchiveWriter::check_entry(size_t shard, const SafetensorsEntry& entry, uint64_t bytes,
                                  const std::string& xxh3_128) const {
  const uint64_t begin = layout_.shards[shard].header_bytes + entry.begin;
  if (entry.end < entry.begin || bytes > entry.end - entry.begin)
    return error(ErrorKind::kCorrupt, "journal has a broken entry");
  LLMC_ASSIGN_OR_RETURN(
      const std::string present,
      checksum_of_range(AtomicFile::partial_path(layout_.shards[shard].path), begin, begin + bytes));
  if (present != xxh3_128) return error(ErrorKind::kCorrupt, "partial file lost data");
  return Status::ok();
}

Status ArchiveWriter::create_shard(size_t shard) {
  LLMC_ASSIGN_OR_RETURN(shards_[shard].file, AtomicFile::create_resumable(layout_.shards[shard].path));
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
  tensor_ = name;
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
  info.name = tensor_ + "." + part_;
  info.dtype = Dtype::kU8;
  info.shape = {padded};
  parts_[part_] = {part_bytes_, part_checksum_->hex()};
  add_entry(std::move(info), part_begin_);
  return Status::ok();
}

void ArchiveWriter::add_entry(TensorInfo info, uint64_t begin) {
  shards_[current_].entries.push_back({std::move(info), begin, data_size()});
}

Status ArchiveWriter::end_tensor(TensorRecord record, json memo) {
  record.parts = std::move(parts_);
  json what = {{"record", to_json(record)}};
  if (!memo.is_null()) what["memo"] = std::move(memo);
  LLMC_RETURN_IF_ERROR(journal_tensor(tensor_, record.parts.size(), std::move(what)));
  shards_[current_].records[tensor_] = std::move(record);
  return Status::ok();
}

Status ArchiveWriter::begin_exact(const TensorInfo& info, size_t shard) {
  LLMC_RETURN_IF_ERROR(begin_tensor(info.name, shard));
  exact_ = info;
  return begin_part("");
}

Status ArchiveWriter::end_exact() {
  ExactRecord record{dtype_info(exact_.dtype).name, exact_.shape, part_checksum_->hex()};
  add_entry(std::move(exact_), part_begin_);
  LLMC_RETURN_IF_ERROR(journal_tensor(tensor_, 1, {{"exact", record.xxh3_128}}));
  shards_[current_].exact[tensor_] = std::move(record);
  return Status::ok();
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

// One line for the last `entries` entries and `what` describes them.
Status ArchiveWriter::journal_tensor(const std::string& name, size_t entries, json what) {
  const std::vector<SafetensorsEntry>& all = shards_[current_].entries;
  json list = json::array();
  for (size_t i = all.size() - entries; i < all.size(); ++i) list.push_back(entry_to_json(all[i]));
  what["name"] = name;
  what["shard"] = current_;
  what["entries"] = std::move(list);
  done_.insert(name);
  return journal_->append(what);
}

Status ArchiveWriter::complete_shard(size_t shard, const Description& description) {
  Description own = description;
  own.tensors = shards_[shard].records;
  own.exact = shards_[shard].exact;
  own.shard = shard;
  own.shards = shards_.size();
  if (shard > 0) own.carried.clear();
  const std::string text = to_text(own);
  std::vector<std::byte> packed = pack_description(text);
  packed.resize(stored_bytes(packed.size(), text.size(), shards_[shard].file->size()));
  current_ = shard;
  const uint64_t begin = data_size();
  LLMC_RETURN_IF_ERROR(file().write(packed));
  add_entry({description_name(shard), Dtype::kU8, {packed.size()}}, begin);
  auto header =
      safetensors_header(shards_[shard].entries, archive_metadata(text), layout_.shards[shard].header_bytes);
  if (!header.is_ok()) return std::move(header).error().in_file(layout_.shards[shard].path);
  return shards_[shard].file->write_at(0, std::as_bytes(std::span(*header)));
}

std::string ArchiveWriter::archive_id() const {
  Checksum checksum;
  const auto add = [&](const std::string& text) { checksum.update(std::as_bytes(std::span(text))); };
  for (const OpenShard& shard : shards_) {
    for (const auto& [name, record] : shard.records) add(name + to_json(record).dump());
    for (const auto& [name, record] : shard.exact) add(name + record.xxh3_128);
  }
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
  if (shards_.size() > 1) description.archive_id = archive_id();
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
  for (OpenShard& shard : shards_) LLMC_RETURN_IF_ERROR(shard.file->commit());
  if (!layout_.index_path.empty())
    LLMC_RETURN_IF_ERROR(write_text_file(layout_.index_path, safetensors_index(infos, shards)));
  journal_->remove();
  return Status::ok();
}

void ArchiveWriter::keep_for_resume() {
  for (OpenShard& shard : shards_) {
    if (shard.file) shard.file->keep_partial();
  }
}

void ArchiveWriter::abandon() {
  shards_.clear();
  journal_->remove();
}

uint64_t ArchiveWriter::total_bytes() const {
  uint64_t bytes = 0;
  for (const OpenShard& shard : shards_) {
    if (shard.file) bytes += shard.file->size();
  }
  return bytes;
}

}  // namespace llmcodec
