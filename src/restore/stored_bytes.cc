// SPDX-License-Identifier: BSD-3-Clause
#include "restore/stored_bytes.h"

#include <algorithm>
#include <numeric>

#include "archive/part_names.h"
#include "base/error.h"
#include "restore/tensor_decoder.h"

namespace llmcodec {
namespace {

// Bytes of the archive's own tensor `full_name`.
Result<StoredBytes> place_of(const ArchiveReader& archive, const std::string& full_name) {
  LLMC_ASSIGN_OR_RETURN(const size_t index, archive.source().find(full_name));
  const auto file = std::ranges::find(archive.files(), archive.source().file(index));
  return StoredBytes{static_cast<size_t>(file - archive.files().begin()), archive.source().offset(index),
                     archive.source().byte_size(index)};
}

Result<StoredBytes> inside(StoredBytes all, uint64_t begin, uint64_t bytes) {
  if (begin > all.bytes || bytes > all.bytes - begin)
    return error(ErrorKind::kCorrupt, "bytes {} to {} of a part that has {}", begin, begin + bytes,
                 all.bytes);
  return StoredBytes{all.file, all.offset + begin, bytes};
}

bool is_all(ElementRange elements, uint64_t count) {
  return elements.first == 0 && elements.last >= count;
}

// The segments of all blocks between the first and the last that is wanted, which follow each other.
Result<StoredBytes> segments_of(const StoredBytes& bitstream, const TensorRecord& record,
                                ElementRange elements) {
  LLMC_ASSIGN_OR_RETURN(const TensorRecipe stages, recipe_from_record(record));
  const std::vector<uint64_t>& sizes = stages.codec.segment_bytes;
  uint64_t first = sizes.size(), last = 0;
  for (const RowBlock& block : row_blocks(record, stages)) {
    if (!has_elements(record, block, elements.first, elements.last)) continue;
    first = std::min(first, block.first_segment);
    last = std::max(last, block.first_segment + block.segments);
  }
  if (last > sizes.size() || first > last)
    return error(ErrorKind::kCorrupt, "{} segments are listed, and segment {} is needed", sizes.size(), last);
  const auto sum = [&](uint64_t from, uint64_t to) {
    return std::reduce(sizes.begin() + static_cast<ptrdiff_t>(from),
                       sizes.begin() + static_cast<ptrdiff_t>(to), uint64_t{0});
  };
  return inside(bitstream, sum(0, first), sum(first, last));
}

Result<StoredBytes> exact_bytes(const StoredBytes& all, const TensorInfo& info, ElementRange elements) {
  if (is_all(elements, info.elements())) return all;
  LLMC_ASSIGN_OR_RETURN(const ByteRange range,
                        element_bytes(info, elements.first, elements.last - elements.first));
  return inside(all, range.begin, range.size);
}

Result<StoredBytes> part_bytes(const StoredBytes& all, const std::string& part, const TensorRecord& record,
                               ElementRange elements) {
  if (part == part_name::kBitstream && !is_all(elements, record.matrices * record.rows * record.cols))
    return segments_of(all, record, elements);
  const auto dtype = dtype_from_name(record.dtype);
  if (part == part_name::kData && dtype) return exact_bytes(all, {"", *dtype, record.shape}, elements);
  return all;
}

}  // namespace

Result<std::vector<StoredBytes>> stored_bytes(const ArchiveReader& archive, const std::string& stored_name,
                                              ElementRange elements) {
  std::vector<StoredBytes> ranges;
  const auto record = archive.description().tensors.find(stored_name);
  if (record == archive.description().tensors.end()) {
    LLMC_ASSIGN_OR_RETURN(const StoredBytes all, place_of(archive, stored_name));
    LLMC_ASSIGN_OR_RETURN(const size_t index, archive.source().find(stored_name));
    LLMC_ASSIGN_OR_RETURN(const StoredBytes range,
                          exact_bytes(all, archive.source().tensors()[index], elements));
    return std::vector<StoredBytes>{range};
  }
  for (const auto& [part, info] : record->second.parts) {
    LLMC_ASSIGN_OR_RETURN(const StoredBytes all, place_of(archive, stored_name + "." + part));
    LLMC_ASSIGN_OR_RETURN(const StoredBytes range, part_bytes(all, part, record->second, elements));
    ranges.push_back(range);
  }
  std::ranges::sort(ranges, {}, [](const StoredBytes& range) { return std::pair(range.file, range.offset); });
  return ranges;
}

Status check_stored_bytes(const ArchiveReader& archive, const std::string& stored_name) {
  const PieceVisitor only_check = [](std::span<const std::byte>) { return Status::ok(); };
  const auto record = archive.description().tensors.find(stored_name);
  if (record == archive.description().tensors.end()) return archive.visit_exact(stored_name, only_check);
  for (const auto& [part, info] : record->second.parts)
    LLMC_RETURN_IF_ERROR(archive.visit_part(stored_name, part, only_check));
  return Status::ok();
}

}  // namespace llmcodec
