// SPDX-License-Identifier: BSD-3-Clause
// The description of an archive (docs/format.md, section 2): what is packed into a tensor of its own, as
// structs. Stages stay JSON here: the archive knows names and bytes, never what a stage means.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llmcodec/status.h"
#include "tensor/archive_mark.h"
#include "tensor/model_parts.h"
#include "tensor/source_format.h"

namespace llmcodec {

inline constexpr int kFormatVersion = 3;                     // which is written
inline constexpr int kOldestFormatVersion = 2;               // from which on archives are read
inline constexpr char kChecksumKey[] = "llmcodec_xxh3_128";  // in __metadata__: of the description's text
inline constexpr char kOwnPrefix[] = "llmcodec.";            // of the tensors that are the archive's own
inline constexpr char kDescriptionPrefix[] = "llmcodec.description.";  // and the number of the shard
inline constexpr char kGgufHeaderName[] = "llmcodec.gguf_header";

struct PartRecord {
  uint64_t bytes = 0;  // true length, without the padding
  std::string xxh3_128;
};

// A tensor stored under its own name: what safetensors says of it as well, so that a changed header shows.
struct ExactRecord {
  std::string dtype;
  std::vector<uint64_t> shape;
  std::string xxh3_128;  // of its bytes in the file
};

struct TensorRecord {
  std::string dtype;
  std::vector<uint64_t> shape;
  uint64_t matrices = 1, rows = 0, cols = 0;
  std::vector<nlohmann::json> stages;
  std::map<std::string, PartRecord> parts;  // by part name: "bitstream", "row_scale", ...
  std::vector<std::string> samples;         // XXH3-128 of what the codec returns for each segment
  uint64_t outliers = 0;                    // how many part "outliers" holds
};

// A tensor that has the values of another one of the same shard, of which the archive holds the only ones.
struct SameAsRecord {
  std::string dtype;
  std::vector<uint64_t> shape;
  std::string original;  // in `tensors` or `exact`
};

struct SourceFileRecord {
  std::string name;
  uint64_t bytes = 0;
  std::string xxh3_128;
  bool operator==(const SourceFileRecord&) const = default;
};

// A file that lies beside the archive, as it lies there.
struct CarriedFile {
  uint64_t bytes = 0;
  std::string xxh3_128;
  bool operator==(const CarriedFile&) const = default;
};
using CarriedFiles = std::map<std::string, CarriedFile>;  // by name (archive/carried_name.h)

struct Description {
  int format_version = kFormatVersion;
  std::string writer;
  std::string command;
  std::string source_kind;
  std::vector<SourceFileRecord> source_files;
  std::map<std::string, std::string> source_metadata;  // __metadata__ of a safetensors source
  // Of a pipeline: the __metadata__ of each part, by its folder. Empty otherwise, and not otherwise.
  std::map<std::string, std::map<std::string, std::string>> source_parts;
  std::map<std::string, TensorRecord> tensors;
  std::map<std::string, ExactRecord> exact;     // the archive's own ("llmcodec.*") included
  std::map<std::string, SameAsRecord> same_as;  // version 2 lists none
  std::map<std::string, SourceFormat>
      quantised;                   // tensors that the source had as codes; version 2 lists none
  CarriedFiles carried;            // of shard 0; version 2 lists none
  uint64_t shard = 0, shards = 1;  // which of how many files this one is
  // The same in all shards of an archive and in no shard of another one; empty for one file and in version 2.
  std::string archive_id;

  // Where the restored weights go, and what their names begin with: one part unless the source is a pipeline.
  ModelParts parts() const;
  PartFolders part_folders() const;
  // Whether `other` says the same of everything that the shards of one archive share.
  bool is_of_same_archive(const Description& other) const;
};

// Corrupt where a part of a pipeline has no tensor in the description of the whole archive.
Status check_no_empty_part(const Description& description);

// Leaves out of `same_as` what is the same as a tensor that this description does not have, and of `quantised` what is no
// tensor of this description.
void keep_own_entries(Description* description);

nlohmann::json to_json(const TensorRecord& record);
// Corrupt, naming the field, for anything missing, of the wrong type, or out of range.
Result<TensorRecord> tensor_record_from_json(nlohmann::json value);

// In the version that is written, whatever the description was read from.
std::string to_text(const Description& description);
// Unsupported, with the remedy, for a version that is not read here.
Result<Description> parse_description(std::string_view text);

std::string description_name(uint64_t shard);

using ArchiveMetadata = SafetensorsMetadata;
// What it says of an archive whose description has this text.
ArchiveMetadata archive_metadata(const std::string& description);
// The text as it is stored, before padding. Most of a large one is checksums, of which no effort makes less.
std::vector<std::byte> pack_description(std::string_view text);
// The description from its packed bytes, in a file of `file_bytes`. Corrupt when its checksum is absent or another
// one; Limit when it unpacks to more than such a file can have.
Result<Description> unpack_description(const ArchiveMetadata& metadata, std::span<const std::byte> packed,
                                       uint64_t file_bytes);

}  // namespace llmcodec
