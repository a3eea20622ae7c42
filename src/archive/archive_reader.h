// SPDX-License-Identifier: BSD-3-Clause
// Reads an archive: one safetensors file, an index with its shards, or a folder that holds either.
//
// Example (const std::string& path):
//
//   LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveReader> archive, ArchiveReader::open(path));
//   for (const auto& [name, record] : archive->description().tensors) {  // coded tensors
//     LLMC_ASSIGN_OR_RETURN(const auto scales, archive->part(name, "row_scale"));  // checked, not padded
//     use(record, scales);
//   }
//   for (size_t index : archive->exact_tensors())
//     use(archive->exact(archive->source().tensors()[index].name));
#pragma once

#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "archive/checksum.h"
#include "archive/description.h"
#include "tensor/safetensors.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

class ArchiveReader {
 public:
  // InvalidArgument for a safetensors file that is no archive; Corrupt when the description
  // and the parts disagree.
  static Result<std::unique_ptr<ArchiveReader>> open(const std::string& path);
  static Result<std::unique_ptr<ArchiveReader>> open(ByteSourcePtr file);  // of one file
  // Of all its shards, without the index that names them.
  static Result<std::unique_ptr<ArchiveReader>> open_shards(std::span<const ByteSourcePtr> files);
  // Whether `path` can be opened as an archive, without reading more than headers.
  static bool is_archive(const std::string& path);

  const Description& description() const { return description_; }
  const TensorSource& source() const { return *source_; }
  // Indices into source().tensors() of tensors stored exactly, the archive's own ("llmcodec.*") left out.
  const std::vector<size_t>& exact_tensors() const { return exact_; }
  // The tensor of the file that has the values of the model's tensor `name`: itself, unless it is the same as another.
  const std::string& stored_name(const std::string& name) const;
  // Bytes in the file of the archive's own tensor, padding included; 0 if there is none.
  uint64_t own_bytes(const std::string& name) const;

  // A tensor stored under its own name, the archive's own included, checked against its checksum. Corrupt if
  // it is absent or changed.
  Result<std::vector<std::byte>> exact(const std::string& name) const;
  // The same in pieces of whole blocks of the tensor's dtype, for tensors that may be larger than the memory. They are handed over
  // before the checksum is known: what became of them must be thrown away when this returns an error.
  Status visit_exact(const std::string& name, const PieceVisitor& visit) const;

  // True bytes of a part as they are stored, without padding, checked against its checksum. Corrupt, with file
  // and offset, when it is absent or changed. visit_part() as visit_exact().
  Result<std::vector<std::byte>> part(const std::string& tensor, const std::string& part) const;
  Status visit_part(const std::string& tensor, const std::string& part, const PieceVisitor& visit) const;
  // Bytes of a part from `offset` on, not checked. The range must be inside the part.
  Status read_part(const std::string& tensor, const std::string& part, uint64_t offset,
                   std::span<std::byte> out) const;
  // For a caller who read all of a part by read_part(): Corrupt when its bytes gave another checksum.
  Status check_part(const std::string& tensor, const std::string& part, const Checksum& checksum) const;
  // The content of a packed part. Limit when it has more than `max_bytes`.
  Result<std::vector<std::byte>> packed_part(const std::string& tensor, const std::string& part,
                                             uint64_t max_bytes) const;

  // The one of files() that has the model's tensor `name`, or the tensor that it is the same as.
  const std::string& file_of(const std::string& name) const;
  const std::vector<std::string>& files() const { return files_; }
  // files() and the index of shards: what an output must not replace.
  const std::vector<std::string>& all_files() const { return all_files_; }
  uint64_t total_bytes() const { return total_bytes_; }

 private:
  // Bytes of the file that belong together, and what they must give.
  struct CheckedBytes {
    size_t index = 0;  // in source()
    uint64_t bytes = 0;
    uint64_t unit = 1;  // of the values in them, which pieces do not cut
    const std::string* xxh3_128 = nullptr;
    std::string what;  // for errors: "part 'bitstream' ", nothing for a tensor under its own name
    std::string tensor;
  };
  ArchiveReader() = default;
  Status load(std::span<const SafetensorsFile* const> files);
  Status load_descriptions(std::span<const SafetensorsFile* const> files);
  Result<Description> load_description(const SafetensorsFile& file);
  Status merge_copies(Description* shard);  // into description_
  Status match_parts();
  Status match_exact();
  Result<CheckedBytes> find_exact(const std::string& name) const;
  Result<CheckedBytes> find_part(const std::string& tensor, const std::string& part) const;
  Status visit(const CheckedBytes& place, const PieceVisitor& visit) const;
  Result<std::vector<std::byte>> read(const CheckedBytes& place) const;
  Status check(const CheckedBytes& place, const std::string& xxh3_128) const;
  Error corrupt(const CheckedBytes& place, const std::string& what) const;

  std::unique_ptr<TensorSource> source_;
  std::vector<std::string> files_;
  std::vector<std::string> all_files_;
  uint64_t total_bytes_ = 0;
  Description description_;
  std::map<std::string, size_t> index_;  // tensor name in the file -> position
  std::set<std::string> described_;      // names in the file of the descriptions and of all parts
  std::vector<size_t> exact_;
};

}  // namespace llmcodec
