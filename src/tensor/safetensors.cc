// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/safetensors.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/file.h"
#include "base/limits.h"
#include "tensor/file_kind.h"
#include "tensor/piece_tracker.h"

namespace llmcodec {
namespace {

// The length field and the header behind it; the field alone where that is more than is accepted or there.
Result<std::vector<std::byte>> read_header_bytes(const ByteSource& bytes) {
  uint64_t length = 0;
  if (bytes.size() < sizeof(length)) return read_range(bytes, 0, bytes.size());
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> field, read_range(bytes, 0, sizeof(length)));
  std::memcpy(&length, field.data(), sizeof(length));
  if (length > kMaxSafetensorsHeaderBytes || length + field.size() > bytes.size()) return field;
  return read_range(bytes, 0, field.size() + length);
}

}  // namespace

Result<std::unique_ptr<SafetensorsFile>> SafetensorsFile::open(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(ByteSourcePtr bytes, open_byte_source(path));
  return open(std::move(bytes));
}

Result<std::unique_ptr<SafetensorsFile>> SafetensorsFile::open(ByteSourcePtr bytes) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> start, read_header_bytes(*bytes));
  Result<SafetensorsHeader> header = parse_safetensors_header(start, bytes->size());
  if (!header) return known_other_kind(*bytes).value_or(header.error()).in_file(bytes->name());
  std::unique_ptr<SafetensorsFile> file(new SafetensorsFile(std::move(bytes)));
  file->data_start_ = header->data_start;
  file->metadata_ = std::move(header->metadata);
  for (SafetensorsEntry& entry : header->entries) {
    file->begins_.push_back(header->data_start + entry.begin);
    file->tensors_.push_back(std::move(entry.info));
  }
  return file;
}

Status SafetensorsFile::read(size_t index, uint64_t first, std::span<std::byte> out) const {
  Status status = bytes_->read_at(begins_[index] + first, out);
  if (!status.is_ok()) return std::move(status).error().in_tensor(tensors_[index].name);
  return status;
}

namespace {

uint64_t element_alignment(const TensorInfo& info) {
  const DtypeInfo& dtype = dtype_info(info.dtype);
  return dtype.block_elements == 1 ? dtype.block_bytes : 1;
}

// Positions in `tensors` in the order of their data: the given one, unless that leaves a tensor unaligned to
// its elements (some readers refuse it); then the wider types first.
std::vector<size_t> data_order(std::span<const TensorInfo> tensors,
                               std::span<const SafetensorsEntry> in_order) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const bool aligned = std::all_of(in_order.begin(), in_order.end(), [](const SafetensorsEntry& entry) {
    return entry.begin % element_alignment(entry.info) == 0;
  });
  if (aligned) return order;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return element_alignment(tensors[a]) > element_alignment(tensors[b]);
  });
  return order;
}

class SafetensorsSink final : public TensorSink {
 public:
  SafetensorsSink(AtomicFile file, PieceTracker tracker, std::vector<uint64_t> offsets, FileTaker take)
      : file_(std::move(file)),
        tracker_(std::move(tracker)),
        offsets_(std::move(offsets)),
        take_(std::move(take)) {}

  Status write(size_t index, std::span<const std::byte> bytes) override {
    Result<uint64_t> position = tracker_.accept(index, bytes.size());
    if (!position) return std::move(position).error().in_file(file_.path());
    return file_.write_at(offsets_[index] + *position, bytes);
  }

  Status finish() override {
    Status complete = tracker_.check_complete();
    if (!complete) return std::move(complete).error().in_file(file_.path());
    return take_(std::move(file_));
  }

 private:
  AtomicFile file_;
  PieceTracker tracker_;
  std::vector<uint64_t> offsets_;  // in the file, by position in the caller's list
  FileTaker take_;
};

}  // namespace

Result<std::unique_ptr<TensorSink>> create_safetensors(const std::string& path,
                                                       std::vector<TensorInfo> tensors,
                                                       const SafetensorsMetadata& metadata) {
  LLMC_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  return create_safetensors(std::move(file), std::move(tensors), metadata,
                            [](AtomicFile done) { return done.commit(); });
}

Result<std::unique_ptr<TensorSink>> create_safetensors(AtomicFile file, std::vector<TensorInfo> tensors,
                                                       const SafetensorsMetadata& metadata, FileTaker take) {
  Result<std::vector<SafetensorsEntry>> entries = layout_safetensors(tensors);
  if (!entries) return std::move(entries).error().in_file(file.path());
  const std::vector<size_t> order = data_order(tensors, *entries);
  std::vector<TensorInfo> sorted;
  sorted.reserve(order.size());
  for (const size_t index : order) sorted.push_back(tensors[index]);
  LLMC_ASSIGN_OR_RETURN(entries, layout_safetensors(sorted));
  Result<std::string> header = safetensors_header(*entries, metadata);
  if (!header) return std::move(header).error().in_file(file.path());

  LLMC_RETURN_IF_ERROR(file.write(std::as_bytes(std::span(*header))));
  std::vector<uint64_t> offsets(tensors.size());
  for (size_t i = 0; i < order.size(); ++i) offsets[order[i]] = header->size() + (*entries)[i].begin;
  return std::unique_ptr<TensorSink>(std::make_unique<SafetensorsSink>(std::move(file), PieceTracker(tensors),
                                                                       std::move(offsets), std::move(take)));
}

}  // namespace llmcodec
