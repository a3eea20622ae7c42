// SPDX-License-Identifier: BSD-3-Clause
// Reads an archive: one safetensors file, an index with its shards, or a folder that holds either.
//
// Example (const std::string& path):
//
//   LLMC_ASSIGN_OR_RETURN(const std::unique_ptr<ArchiveReader> archive, ArchiveReader::open(path));
//   for (const auto& [name, record] : archive->description().tensors) {  // coded tensors
//     LLMC_ASSIGN_OR_RETURN(const auto stream, archive->part(name, "bitstream"));  // checked, not padded
//     use(record, stream);
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

#include "archive/description.h"
#include "tensor/safetensors.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

class ArchiveReader {
 public:
  // InvalidArgument for a safetensors file that is no archive; Corrupt when the description
  // and the parts disagree.
  static Result<std::unique_ptr<ArchiveReader>> open(const std::string& path);
  // Whether `path` can be opened as an archive, without reading more than headers.
  static bool is_archive(const std::string& path);

  const Description& description() const { return description_; }
  const TensorSource& source() const { return *source_; }
  // Indices into source().tensors() of tensors stored exactly, the archive's own ("llmcodec.*") left out.
  const std::vector<size_t>& exact_tensors() const { return exact_; }
  // Bytes in the file of the archive's own tensor, padding included; 0 if there is none.
  uint64_t own_bytes(const std::string& name) const;
  // A tensor stored under its own name, the archive's own included, checked against its checksum. Corrupt if
  // it is absent or changed. Large ones are read and given back in pieces, so that memory stays bounded.
  Result<std::span<const std::byte>> exact(const std::string& name) const;

  // True bytes of a part as they are stored. Checked against its checksum when `verify`; Corrupt, with file
  // and offset, otherwise. Memory as exact().
  Result<std::span<const std::byte>> part(const std::string& tensor, const std::string& part,
                                          bool verify = true) const;
  // The content of a packed part. Limit when it has more than `max_bytes`.
  Result<std::vector<std::byte>> packed_part(const std::string& tensor, const std::string& part,
                                             uint64_t max_bytes) const;
  // Gives back the memory of the part's bytes [begin, begin + bytes) once they were used.
  void release_part(const std::string& tensor, const std::string& part, uint64_t begin, uint64_t bytes) const;
  void release_exact(const std::string& name) const;

  const std::vector<std::string>& files() const { return files_; }
  // files() and the index of shards: what an output must not replace.
  const std::vector<std::string>& all_files() const { return all_files_; }
  uint64_t total_bytes() const { return total_bytes_; }

 private:
  ArchiveReader() = default;
  Status load_descriptions();
  Result<Description> load_description(const SafetensorsFile& file);
  // XXH3-128 of the first `bytes` of tensor `index` of the file; memory of large ones is given back.
  std::string checksum_of(size_t index, uint64_t bytes) const;
  Status match_parts();
  Status match_exact();
  Error corrupt_part(const std::string& tensor, const std::string& part, size_t index,
                     const char* what) const;

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
