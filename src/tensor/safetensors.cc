// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/safetensors.h"

#include <algorithm>
#include <numeric>

#include "tensor/piece_tracker.h"

namespace llmcodec {

Result<std::unique_ptr<SafetensorsFile>> SafetensorsFile::open(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(MappedFile mapping, MappedFile::open(path));
  Result<SafetensorsHeader> header = parse_safetensors_header(mapping.bytes(), mapping.bytes().size());
  if (!header) return std::move(header).error().in_file(path);
  std::unique_ptr<SafetensorsFile> file(new SafetensorsFile(std::move(mapping)));
  file->data_start_ = header->data_start;
  file->metadata_ = std::move(header->metadata);
  for (SafetensorsEntry& entry : header->entries) {
    file->begins_.push_back(header->data_start + entry.begin);
    file->tensors_.push_back(std::move(entry.info));
  }
  file->mapping_.release(0, header->data_start);
  return file;
}

std::span<const std::byte> SafetensorsFile::bytes(size_t index) const {
  const uint64_t end = index + 1 < begins_.size() ? begins_[index + 1] : mapping_.bytes().size();
  return mapping_.bytes().subspan(begins_[index], end - begins_[index]);
}

void SafetensorsFile::release(size_t index, uint64_t first, uint64_t count) const {
  const Result<ByteRange> range = element_bytes(tensors_[index], first, count);
  if (range) mapping_.release(begins_[index] + range->begin, range->size);
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
  SafetensorsSink(AtomicFile file, PieceTracker tracker, std::vector<uint64_t> offsets)
      : file_(std::move(file)), tracker_(std::move(tracker)), offsets_(std::move(offsets)) {}

  Status write(size_t index, std::span<const std::byte> bytes) override {
    Result<uint64_t> position = tracker_.accept(index, bytes.size());
    if (!position) return std::move(position).error().in_file(file_.path());
    return file_.write_at(offsets_[index] + *position, bytes);
  }

  Status finish() override {
    Status complete = tracker_.check_complete();
    if (!complete) return std::move(complete).error().in_file(file_.path());
    return file_.commit();
  }

 private:
  AtomicFile file_;
  PieceTracker tracker_;
  std::vector<uint64_t> offsets_;  // in the file, by position in the caller's list
};

}  // namespace

Result<std::unique_ptr<TensorSink>> create_safetensors(const std::string& path,
                                                       std::vector<TensorInfo> tensors,
                                                       const SafetensorsMetadata& metadata) {
  Result<std::vector<SafetensorsEntry>> entries = layout_safetensors(tensors);
  if (!entries) return std::move(entries).error().in_file(path);
  const std::vector<size_t> order = data_order(tensors, *entries);
  std::vector<TensorInfo> sorted;
  sorted.reserve(order.size());
  for (const size_t index : order) sorted.push_back(tensors[index]);
  LLMC_ASSIGN_OR_RETURN(entries, layout_safetensors(sorted));
  Result<std::string> header = safetensors_header(*entries, metadata);
  if (!header) return std::move(header).error().in_file(path);

  LLMC_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::create(path));
  LLMC_RETURN_IF_ERROR(file.write(std::as_bytes(std::span(*header))));
  std::vector<uint64_t> offsets(tensors.size());
  for (size_t i = 0; i < order.size(); ++i) offsets[order[i]] = header->size() + (*entries)[i].begin;
  return std::unique_ptr<TensorSink>(
      std::make_unique<SafetensorsSink>(std::move(file), PieceTracker(tensors), std::move(offsets)));
}

}  // namespace llmcodec
