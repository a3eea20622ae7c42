// SPDX-License-Identifier: BSD-3-Clause
#include "archive/journal_check.h"

#include <set>

#include "archive/checksum.h"
#include "base/error.h"

namespace llmcodec {
namespace {

constexpr uint64_t kPadding = 8;  // of parts: what ArchiveWriter::end_part() fills up to

Error differs(const JournalEntry& entry, const char* what) {
  return error(ErrorKind::kCorrupt, "{} is not what this run writes", what).in_tensor(entry.name);
}

// The name of the part that `entry` stores; empty when it is none of this tensor's.
std::string part_of(const JournalEntry& tensor, const SafetensorsEntry& entry) {
  const std::string prefix = tensor.name + ".";
  return entry.info.name.starts_with(prefix) ? entry.info.name.substr(prefix.size()) : std::string();
}

Status check_parts(const JournalEntry& entry) {
  std::set<std::string> seen;
  for (const SafetensorsEntry& part : entry.entries) {
    const std::string name = part_of(entry, part);
    const auto record = entry.record->parts.find(name);
    if (record == entry.record->parts.end() || !seen.insert(name).second)
      return differs(entry, "the list of parts");
    const uint64_t stored = part.end - part.begin;
    const uint64_t bytes = record->second.bytes;
    const bool fits = bytes <= stored && stored - bytes < kPadding && stored % kPadding == 0;
    if (!fits || part.info.dtype != Dtype::kU8 || part.info.shape != std::vector<uint64_t>{stored})
      return differs(entry, "the size of a part");
  }
  return seen.size() == entry.record->parts.size() ? Status::ok() : differs(entry, "the list of parts");
}

}  // namespace

Status check_entry(const JournalEntry& entry, const PlannedTensor& planned, uint64_t begin) {
  if (entry.shard != planned.shard) return differs(entry, "the shard");
  if (entry.record.has_value() != planned.has_parts) return differs(entry, "the way it is stored");
  for (const SafetensorsEntry& part : entry.entries) {
    if (part.begin != begin) return differs(entry, "the place in the file");
    begin = part.end;
  }
  const TensorInfo& info = planned.info;
  if (entry.record) {
    if (entry.record->dtype != dtype_info(info.dtype).name || entry.record->shape != info.shape)
      return differs(entry, "the dtype or shape");
    return check_parts(entry);
  }
  if (entry.entries.size() != 1) return differs(entry, "the number of entries");
  const SafetensorsEntry& only = entry.entries[0];
  const auto bytes = dtype_bytes(info.dtype, info.elements());
  if (only.info.name != info.name || only.info.dtype != info.dtype || only.info.shape != info.shape ||
      bytes != only.end - only.begin)
    return differs(entry, "the dtype or shape");
  return Status::ok();
}

Status check_bytes(const JournalEntry& entry, uint64_t header_bytes, const ByteSource& partial) {
  for (const SafetensorsEntry& part : entry.entries) {
    uint64_t bytes = part.end - part.begin;
    std::string expected = entry.exact_xxh3_128;
    if (entry.record) {
      const PartRecord& record = entry.record->parts.at(part_of(entry, part));
      bytes = record.bytes;
      expected = record.xxh3_128;
    }
    // The padding as well: what follows is written behind it.
    if (header_bytes > partial.size() || part.end > partial.size() - header_bytes)
      return error(ErrorKind::kCorrupt, "the partial file is shorter than recorded").in_file(partial.name());
    LLMC_ASSIGN_OR_RETURN(const std::string present,
                          xxh3_128_of_range(partial, header_bytes + part.begin, bytes));
    if (present != expected)
      return error(ErrorKind::kCorrupt, "the partial file lost what was written")
          .in_file(partial.name())
          .at_offset(header_bytes + part.begin);
  }
  return Status::ok();
}

}  // namespace llmcodec
