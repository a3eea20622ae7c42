// SPDX-License-Identifier: BSD-3-Clause
// The safetensors format: reader, header text, and sinks for one file or many shards.
//   file   = u64 little-endian header length, that many bytes of JSON, then the data section
//   header = { "__metadata__": {string: string},
//              NAME: {"dtype", "shape", "data_offsets": [begin, end)}, ... }
// Read strictly: the tensors tile the data section without holes or overlaps, names are unique, sizes
// match dtype and shape (checked arithmetic), the header has at most 100,000,000 bytes. One error per
// cause: Corrupt, Limit, or Unsupported for a dtype of a later format. Stricter than the reference
// reader in one point: a field of a tensor besides the three is Corrupt, not ignored, since it might
// change what the bytes mean.
//
// Example (const std::string& from, const std::string& to):
//
//   LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<SafetensorsFile> file, SafetensorsFile::open(from));
//   LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<TensorSink> sink,
//                         create_safetensors(to, file->tensors(), file->metadata()));
//   for (size_t i = 0; i < file->tensors().size(); ++i) {
//     std::vector<std::byte> bytes(file->byte_size(i));
//     LLMC_RETURN_IF_ERROR(file->read(i, 0, bytes));
//     LLMC_RETURN_IF_ERROR(sink->write(i, bytes));
//   }
//   LLMC_RETURN_IF_ERROR(sink->finish());
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/byte_source.h"
#include "base/file.h"
#include "llmcodec/status.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

using SafetensorsMetadata = std::map<std::string, std::string>;  // sorted, so that headers are deterministic

struct SafetensorsEntry {
  TensorInfo info;
  uint64_t begin = 0;  // first byte and
  uint64_t end = 0;    // one past the last, from the start of the data section
};

struct SafetensorsHeader {
  std::vector<SafetensorsEntry> entries;  // by offset, then by position in the header (zero-size tensors)
  SafetensorsMetadata metadata;
  uint64_t data_start = 0;  // bytes before the data section: 8 + header length
};

// Parses the start of a file of `file_bytes` bytes; `bytes` must hold at least the whole header. Errors carry the offset where the JSON breaks and the tensor concerned, not the file.
Result<SafetensorsHeader> parse_safetensors_header(std::span<const std::byte> bytes, uint64_t file_bytes);

// Entries for `tensors` one after the other, from offset 0. InvalidArgument: duplicate or reserved name, a
// name that is not UTF-8, a GGUF block type, a size that overflows or does not fill whole bytes.
Result<std::vector<SafetensorsEntry>> layout_safetensors(std::span<const TensorInfo> tensors);

// The bytes before the data section (length field and JSON), padded with spaces to a multiple of 8; or
// to exactly `total_bytes` if that is not 0 (a multiple of 8, else InvalidArgument; Limit error if it is
// too small): so a writer can reserve the header's place and fill it in last. InvalidArgument for text
// that is not UTF-8.
Result<std::string> safetensors_header(std::span<const SafetensorsEntry> entries,
                                       const SafetensorsMetadata& metadata, uint64_t total_bytes = 0);

class SafetensorsFile final : public TensorSource {
 public:
  static Result<std::unique_ptr<SafetensorsFile>> open(const std::string& path);
  static Result<std::unique_ptr<SafetensorsFile>> open(ByteSourcePtr bytes);

  const SafetensorsMetadata& metadata() const { return metadata_; }
  const std::string& path() const { return bytes_->name(); }
  uint64_t file_bytes() const { return bytes_->size(); }
  uint64_t data_start() const { return data_start_; }

  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  Status read(size_t index, uint64_t first, std::span<std::byte> out) const override;
  const std::string& file(size_t) const override { return bytes_->name(); }
  uint64_t offset(size_t index) const override { return begins_[index]; }

 private:
  explicit SafetensorsFile(ByteSourcePtr bytes) : bytes_(std::move(bytes)) {}
  ByteSourcePtr bytes_;
  std::vector<TensorInfo> tensors_;
  std::vector<uint64_t> begins_;  // from the start of the file
  SafetensorsMetadata metadata_;
  uint64_t data_start_ = 0;
};

// A sink that writes `tensors`, in that order, to one file. The file appears at finish().
Result<std::unique_ptr<TensorSink>> create_safetensors(const std::string& path,
                                                       std::vector<TensorInfo> tensors,
                                                       const SafetensorsMetadata& metadata);
// The same into a file of the caller's, which finish() hands to `take`, complete.
using FileTaker = std::function<Status(AtomicFile file)>;
Result<std::unique_ptr<TensorSink>> create_safetensors(AtomicFile file, std::vector<TensorInfo> tensors,
                                                       const SafetensorsMetadata& metadata, FileTaker take);

}  // namespace llmcodec
