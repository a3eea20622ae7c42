// SPDX-License-Identifier: BSD-3-Clause
// GGUF (llama.cpp), versions 2 and 3, little-endian: reader and writer.
//   file   = "GGUF", u32 version, u64 tensor count, u64 key-value count,
//            key-values, tensor infos, padding, data
// Key-values are kept as bytes and looked up, never rebuilt: a file written here has the original's, bit for
// bit, but for general.file_type where the weights are of another type now. The header (magic to the end of the tensor infos) is enough to write the model again:
// GgufHeader::parse() takes it alone, without the data.
//
// Example (const std::string& from, const std::string& to, std::vector<TensorInfo> tensors):
//
//   LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<GgufFile> file, GgufFile::open(from));
//   use(file->header().find_string("general.architecture"));
//   // The header's bytes alone are enough to write the model again.
//   LLMC_ASSIGN_OR_RETURN(const GgufHeader header, GgufHeader::parse(file->header().bytes()));
//   LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<TensorSink> sink, create_gguf(to, header, tensors));
//   for (size_t i = 0; i < tensors.size(); ++i) {
//     std::vector<std::byte> bytes(file->byte_size(i));
//     LLMC_RETURN_IF_ERROR(file->read(i, 0, bytes));
//     LLMC_RETURN_IF_ERROR(sink->write(i, bytes));
//   }
//   LLMC_RETURN_IF_ERROR(sink->finish());
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/byte_source.h"
#include "llmcodec/status.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

// ggml's number of a dtype; nullopt where it has none.
std::optional<uint32_t> ggml_type_from_dtype(Dtype dtype);
// And back. Unsupported, saying what the number is, for those that ggml retired or does not write to files, and for
// unknown ones: the size of their blocks is not known, so that not even their bytes can be kept.
Result<Dtype> dtype_from_ggml_type(uint32_t type);
// What general.file_type says of a model whose weights are mostly of this dtype; nullopt where llama.cpp has no number.
std::optional<uint32_t> file_type_from_dtype(Dtype dtype);

class GgufHeader {
 public:
  // Parses from the magic on; `bytes` may go on after the header. Corrupt: bad magic, truncation, duplicate
  // names, tensors that overlap or leave holes, alignment that is no power of two. Unsupported: other
  // versions, big-endian files, tensor types that cannot be read here.
  static Result<GgufHeader> parse(std::span<const std::byte> bytes);
  // Of a file whose header's length nobody knows in advance: its start is read in growing pieces. Errors name
  // the file.
  static Result<GgufHeader> read(const ByteSource& file);

  uint32_t version() const { return version_; }
  uint32_t alignment() const { return alignment_; }  // of tensor data: general.alignment, 32 by default
  // Magic to the end of the tensor infos, and the key-values alone, both verbatim.
  std::span<const std::byte> bytes() const { return bytes_; }
  std::span<const std::byte> key_values() const;
  uint64_t key_value_count() const { return values_.size(); }
  uint64_t data_start() const;  // offset of the data section in the file

  // In file order; shapes outermost first. Offsets are from the start of the data section.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  uint64_t tensor_offset(size_t index) const { return offsets_[index]; }
  // To the end of the last tensor, its padding not counted.
  uint64_t data_bytes() const { return data_bytes_; }

  // nullopt when the key is absent or has another type; integers of any width, booleans not.
  std::optional<std::string> find_string(std::string_view key) const;
  std::optional<int64_t> find_int(std::string_view key) const;
  // Of either width, finite.
  std::optional<double> find_number(std::string_view key) const;
  std::optional<bool> find_flag(std::string_view key) const;
  // key_values() with another number under `key`; the same where the key is absent or no 32-bit integer.
  std::vector<std::byte> key_values_with(std::string_view key, uint32_t number) const;
  // Of one part of a split model (tensor/gguf_parts.h): the header of a whole file, with its key-values but for split.*,
  // and these tensors.
  Result<GgufHeader> without_split(const std::vector<TensorInfo>& tensors) const;

 private:
  friend class GgufParser;
  struct Value {
    uint32_t type = 0;
    uint64_t offset = 0;          // of the value in bytes_
    uint64_t begin = 0, end = 0;  // of the entry, its key included
  };
  uint32_t version_ = 0;
  uint32_t alignment_ = 32;
  std::vector<std::byte> bytes_;
  uint64_t key_values_begin_ = 0;
  uint64_t key_values_end_ = 0;
  std::map<std::string, Value, std::less<>> values_;
  std::vector<TensorInfo> tensors_;
  std::vector<uint64_t> offsets_;
  uint64_t data_bytes_ = 0;
};

class GgufFile final : public TensorSource {
 public:
  static Result<std::unique_ptr<GgufFile>> open(const std::string& path);
  static Result<std::unique_ptr<GgufFile>> open(ByteSourcePtr bytes);

  const GgufHeader& header() const { return header_; }

  const std::vector<TensorInfo>& tensors() const override { return header_.tensors(); }
  Status read(size_t index, uint64_t first, std::span<std::byte> out) const override;
  const std::string& file(size_t) const override { return bytes_->name(); }
  uint64_t offset(size_t index) const override { return header_.data_start() + header_.tensor_offset(index); }

 private:
  GgufFile(ByteSourcePtr bytes, GgufHeader header) : bytes_(std::move(bytes)), header_(std::move(header)) {}
  ByteSourcePtr bytes_;
  GgufHeader header_;
};

// Whether create_gguf() would take these: its InvalidArgument errors.
Status check_gguf(const GgufHeader& header, const std::vector<TensorInfo>& tensors);

// A sink that writes a GGUF v3 with the key-values of `header` (general.file_type as it is right for `tensors`, if the
// header has it) and `tensors` in their order, which must
// be the header's (same names and shapes; the dtypes may differ: F32, F16, BF16, F64, I8 to I64 and the
// block types). InvalidArgument where they are not, or where a row is no multiple of its block. The
// file appears at finish().
Result<std::unique_ptr<TensorSink>> create_gguf(const std::string& path, const GgufHeader& header,
                                                std::vector<TensorInfo> tensors);

}  // namespace llmcodec
