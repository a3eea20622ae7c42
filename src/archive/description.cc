// SPDX-License-Identifier: BSD-3-Clause
#include "archive/description.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "archive/carried_name.h"
#include "archive/checksum.h"
#include "archive/description_parts.h"
#include "archive/packing.h"
#include "archive/source_format_json.h"
#include "base/checked_math.h"
#include "base/error.h"
#include "base/limits.h"
#include "tensor/json_text.h"
#include "tensor/model_source.h"

namespace llmcodec {
namespace {

using nlohmann::json;

Error missing(const char* field) {
  return error(ErrorKind::kCorrupt, "description lacks a valid '{}'", field);
}

Result<const json*> member(const json& object, const char* field) {
  if (!object.is_object()) return missing(field);
  const auto found = object.find(field);
  if (found == object.end()) return missing(field);
  return &*found;
}

Result<std::string> string_member(const json& object, const char* field) {
  LLMC_ASSIGN_OR_RETURN(const json* value, member(object, field));
  if (!value->is_string()) return missing(field);
  return value->get<std::string>();
}

Result<std::vector<uint64_t>> sizes_member(const json& object, const char* field) {
  LLMC_ASSIGN_OR_RETURN(const json* value, member(object, field));
  if (!value->is_array()) return missing(field);
  std::vector<uint64_t> sizes;
  for (const json& size : *value) {
    if (!size.is_number_unsigned()) return missing(field);
    sizes.push_back(size.get<uint64_t>());
  }
  return sizes;
}

Result<std::vector<std::string>> strings_member(const json& object, const char* field) {
  LLMC_ASSIGN_OR_RETURN(const json* value, member(object, field));
  if (!value->is_array()) return missing(field);
  std::vector<std::string> strings;
  for (const json& text : *value) {
    if (!text.is_string()) return missing(field);
    strings.push_back(text.get<std::string>());
  }
  return strings;
}

Result<PartRecord> part_from_json(const json& value) {
  if (!value.is_array() || value.size() != 2 || !value[0].is_number_unsigned() || !value[1].is_string())
    return missing("parts");
  return PartRecord{value[0].get<uint64_t>(), value[1].get<std::string>()};
}

// A tensor as `exact` and `same_as` have it: its dtype, its shape, and what is said of its values.
struct TensorTriple {
  std::string dtype;
  std::vector<uint64_t> shape;
  std::string values;  // their checksum, or the name of the tensor that has them
};

Result<TensorTriple> triple_from_json(const json& value, const char* field) {
  if (!value.is_array() || value.size() != 3 || !value[0].is_string() || !value[1].is_array() ||
      !value[2].is_string())
    return missing(field);
  TensorTriple triple{value[0].get<std::string>(), {}, value[2].get<std::string>()};
  for (const json& side : value[1]) {
    if (!side.is_number_unsigned()) return missing(field);
    triple.shape.push_back(side.get<uint64_t>());
  }
  return triple;
}

// The members with an entry for every tensor. They are read one by one: as a tree, a description takes thirty
// times the memory of its text.
constexpr std::string_view kEntries[] = {"exact", "tensors", "same_as", "quantised"};

Status read_entry(const std::string& member, const std::string& name, json value, Description* description) {
  bool first = false;
  if (member == "exact") {
    LLMC_ASSIGN_OR_RETURN(TensorTriple read, triple_from_json(value, "exact"));
    ExactRecord record{std::move(read.dtype), std::move(read.shape), std::move(read.values)};
    first = description->exact.emplace(name, std::move(record)).second;
  } else if (member == "same_as") {
    LLMC_ASSIGN_OR_RETURN(TensorTriple read, triple_from_json(value, "same_as"));
    SameAsRecord record{std::move(read.dtype), std::move(read.shape), std::move(read.values)};
    first = description->same_as.emplace(name, std::move(record)).second;
  } else if (member == "quantised") {
    LLMC_ASSIGN_OR_RETURN(SourceFormat format, source_format_from_json(value));
    first = description->quantised.emplace(name, std::move(format)).second;
  } else {
    LLMC_ASSIGN_OR_RETURN(TensorRecord record, tensor_record_from_json(std::move(value)));
    first = description->tensors.emplace(name, std::move(record)).second;
  }
  return first ? Status::ok() : Status(error(ErrorKind::kCorrupt, "description has it twice"));
}

Status check_entries(const json& root) {
  for (const char* name : {"exact", "tensors"}) {
    LLMC_ASSIGN_OR_RETURN(const json* entries, member(root, name));
    if (!entries->is_object()) return missing(name);
  }
  for (const char* name : {"same_as", "quantised"}) {
    if (root.contains(name) && !root[name].is_object()) return missing(name);
  }
  return Status::ok();
}

Status check_copy(const std::string& name, const SameAsRecord& copy, const Description& description) {
  const auto corrupt = [&](const std::string& what) {
    return error(ErrorKind::kCorrupt, "description: is the same as '{}', {}", copy.original, what)
        .in_tensor(name);
  };
  if (copy.original == name) return corrupt("which is itself");
  if (description.same_as.contains(copy.original)) return corrupt("which is the same as another one itself");
  if (name.starts_with(kOwnPrefix) || copy.original.starts_with(kOwnPrefix))
    return corrupt("and one of these names is the archive's own");
  if (description.tensors.contains(name) || description.exact.contains(name))
    return corrupt("and is stored as well");
  const auto coded = description.tensors.find(copy.original);
  const auto exact = description.exact.find(copy.original);
  if (coded != description.tensors.end()) {
    if (coded->second.dtype != copy.dtype || coded->second.shape != copy.shape)
      return corrupt("which has another dtype or shape");
  } else if (exact == description.exact.end()) {
    return corrupt("which is not in this shard");
  } else if (exact->second.dtype != copy.dtype || exact->second.shape != copy.shape) {
    return corrupt("which has another dtype or shape");
  }
  return Status::ok();
}

Status check_copies(Description* description) {
  if (description->format_version < 3) description->same_as.clear();
  for (const auto& [name, copy] : description->same_as)
    LLMC_RETURN_IF_ERROR(check_copy(name, copy, *description));
  return Status::ok();
}

bool is_own_tensor(const Description& description, const std::string& name) {
  return description.tensors.contains(name) || description.exact.contains(name) ||
         description.same_as.contains(name);
}

Status check_quantised(Description* description) {
  if (description->format_version < 3) description->quantised.clear();
  for (const auto& [name, format] : description->quantised) {
    if (!is_own_tensor(*description, name))
      return error(ErrorKind::kCorrupt, "description: 'quantised' has a tensor that is not in this shard")
          .in_tensor(name);
  }
  return Status::ok();
}

Status read_shard(const json& root, Description* description) {
  LLMC_ASSIGN_OR_RETURN(const std::vector<uint64_t> shard, sizes_member(root, "shard"));
  if (shard.size() != 2 || shard[0] >= shard[1]) return missing("shard");
  description->shard = shard[0];
  description->shards = shard[1];
  if (description->format_version < 3 || shard[1] == 1) return Status::ok();
  LLMC_ASSIGN_OR_RETURN(description->archive_id, string_member(root, "archive"));
  if (description->archive_id.empty()) return missing("archive");  // which would tell nothing apart
  return Status::ok();
}

// Before it a program must know how to read the rest.
Result<int> read_version(const json& root) {
  LLMC_ASSIGN_OR_RETURN(const json* version, member(root, "format_version"));
  if (!version->is_number_unsigned() || *version == 0) return missing("format_version");
  const auto number = version->get<uint64_t>();
  if (number >= kOldestFormatVersion && number <= kFormatVersion) return static_cast<int>(number);
  if (number > kFormatVersion)
    return error(ErrorKind::kUnsupported,
                 "the archive has format version {}, and this program reads {} and {}: use a newer llmcodec",
                 number, kOldestFormatVersion, kFormatVersion);
  return error(
      ErrorKind::kUnsupported,
      "the archive has format version 1, which only development builds of llmcodec 0.1.0 from before "
      "28 November 2026 read (git checkout dbce799~1): decompress it with one of those and compress "
      "the model again");
}

Status read_carried(const json& root, Description* description) {
  const auto carried = root.find("carried");
  if (description->format_version < 3 || carried == root.end()) return Status::ok();
  if (!carried->is_object() || description->shard != 0) return missing("carried");
  const CarriedNames names(description->parts());
  for (const auto& [name, value] : carried->items()) {
    auto record = part_from_json(value);
    if (!record.is_ok()) return missing("carried");
    if (Status status = names.check(name); !status.is_ok())
      return error(ErrorKind::kCorrupt, "description: {}", status.error().message);
    description->carried[name] = {record->bytes, record->xxh3_128};
  }
  return Status::ok();
}

Status check_matrix(const TensorRecord& record) {
  if (record.shape.size() > kMaxDimensions)  // no container could hold what is restored
    return error(ErrorKind::kLimit, "description: {} dimensions, at most {} are accepted",
                 record.shape.size(), kMaxDimensions);
  const std::vector<uint64_t> matrix = {record.matrices, record.rows, record.cols};
  const auto elements = checked_product(record.shape);
  if (!elements || checked_product(matrix) != elements)
    return error(ErrorKind::kCorrupt, "description: 'matrix' does not have as many elements as 'shape'");
  return Status::ok();
}

Result<SourceFileRecord> source_file_from_json(const json& value) {
  SourceFileRecord file;
  LLMC_ASSIGN_OR_RETURN(file.name, string_member(value, "name"));
  LLMC_ASSIGN_OR_RETURN(file.xxh3_128, string_member(value, "xxh3_128"));
  LLMC_ASSIGN_OR_RETURN(const json* bytes, member(value, "bytes"));
  if (!bytes->is_number_unsigned()) return missing("bytes");
  file.bytes = bytes->get<uint64_t>();
  return file;
}

// The kind decides which container comes back, and whether files are carried along.
bool is_known_kind(const std::string& kind) {
  constexpr std::array kKinds = {ModelKind::kSafetensors, ModelKind::kShardedSafetensors, ModelKind::kFolder,
                                 ModelKind::kGguf, ModelKind::kPipeline};
  return std::ranges::any_of(kKinds, [&](ModelKind known) { return kind == model_kind_name(known); });
}

Status read_source(const json& root, Description* description) {
  LLMC_ASSIGN_OR_RETURN(const json* source, member(root, "source"));
  LLMC_ASSIGN_OR_RETURN(description->source_kind, string_member(*source, "kind"));
  if (!is_known_kind(description->source_kind))
    return error(ErrorKind::kUnsupported, "description: a source of kind '{}' is not known",
                 description->source_kind);
  LLMC_ASSIGN_OR_RETURN(const json* files, member(*source, "files"));
  if (!files->is_array()) return missing("files");
  for (const json& value : *files) {
    LLMC_ASSIGN_OR_RETURN(SourceFileRecord file, source_file_from_json(value));
    description->source_files.push_back(std::move(file));
  }
  LLMC_RETURN_IF_ERROR(read_parts(*source, description));
  const auto metadata = source->find("metadata");
  if (metadata == source->end()) return Status::ok();
  LLMC_ASSIGN_OR_RETURN(description->source_metadata, texts_from_json(*metadata, "metadata"));
  return Status::ok();
}

}  // namespace

bool Description::is_of_same_archive(const Description& other) const {
  return format_version == other.format_version && archive_id == other.archive_id && shards == other.shards &&
         writer == other.writer && command == other.command && source_kind == other.source_kind &&
         source_files == other.source_files && source_metadata == other.source_metadata &&
         source_parts == other.source_parts;
}

void keep_own_entries(Description* description) {
  std::erase_if(description->same_as, [&](const auto& copy) {
    return !description->tensors.contains(copy.second.original) &&
           !description->exact.contains(copy.second.original);
  });
  std::erase_if(description->quantised,
                [&](const auto& entry) { return !is_own_tensor(*description, entry.first); });
}

json to_json(const TensorRecord& record) {
  json parts = json::object();
  for (const auto& [name, part] : record.parts) parts[name] = {part.bytes, part.xxh3_128};
  json object = {{"dtype", record.dtype},
                 {"shape", record.shape},
                 {"matrix", {record.matrices, record.rows, record.cols}},
                 {"stages", record.stages},
                 {"parts", parts},
                 {"samples", record.samples}};
  if (record.outliers > 0) object["outliers"] = record.outliers;
  return object;
}

Result<TensorRecord> tensor_record_from_json(json value) {
  TensorRecord record;
  LLMC_ASSIGN_OR_RETURN(record.dtype, string_member(value, "dtype"));
  LLMC_ASSIGN_OR_RETURN(record.shape, sizes_member(value, "shape"));
  LLMC_ASSIGN_OR_RETURN(record.samples, strings_member(value, "samples"));
  LLMC_ASSIGN_OR_RETURN(const std::vector<uint64_t> matrix, sizes_member(value, "matrix"));
  if (matrix.size() != 3) return missing("matrix");
  record.matrices = matrix[0];
  record.rows = matrix[1];
  record.cols = matrix[2];
  LLMC_RETURN_IF_ERROR(check_matrix(record));
  LLMC_RETURN_IF_ERROR(member(value, "stages"));
  if (!value["stages"].is_array()) return missing("stages");
  for (json& stage : value["stages"]) {
    LLMC_RETURN_IF_ERROR(string_member(stage, "stage"));
    record.stages.push_back(std::move(stage));
  }
  if (value.contains("outliers") && !value["outliers"].is_number_unsigned()) return missing("outliers");
  record.outliers = value.value("outliers", uint64_t{0});
  LLMC_ASSIGN_OR_RETURN(const json* parts, member(value, "parts"));
  if (!parts->is_object()) return missing("parts");
  for (const auto& [name, part] : parts->items()) {
    LLMC_ASSIGN_OR_RETURN(record.parts[name], part_from_json(part));
  }
  return record;
}

namespace {

std::string text_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

// An object of many members, each of which is a tree only while it is written: the trees of all would take twenty times
// the room of the text.
template <class Entries, class Text>
std::string object_text(const Entries& entries, Text text) {
  std::string object;
  for (const auto& [name, entry] : entries)
    object += fmt::format("{}{}:{}", object.empty() ? '{' : ',', text_of(name), text(entry));
  return object.empty() ? "{}" : object + "}";
}

json source_to_json(const Description& description) {
  json files = json::array();
  for (const SourceFileRecord& file : description.source_files)
    files.push_back({{"name", file.name}, {"bytes", file.bytes}, {"xxh3_128", file.xxh3_128}});
  json source = {{"kind", description.source_kind}, {"files", files}};
  if (!description.source_metadata.empty()) source["metadata"] = description.source_metadata;
  if (!description.source_parts.empty()) source["parts"] = description.source_parts;
  return source;
}

}  // namespace

std::string to_text(const Description& description) {
  std::map<std::string, std::string> members;
  const auto add = [&](const char* name, const json& value) { members[name] = text_of(value); };
  add("format_version", kFormatVersion);
  add("writer", description.writer);
  add("command", description.command);
  add("source", source_to_json(description));
  add("shard", {description.shard, description.shards});
  if (!description.archive_id.empty()) add("archive", description.archive_id);
  members["exact"] = object_text(description.exact, [](const ExactRecord& record) {
    return text_of({record.dtype, record.shape, record.xxh3_128});
  });
  members["tensors"] =
      object_text(description.tensors, [](const TensorRecord& record) { return text_of(to_json(record)); });
  if (!description.same_as.empty())
    members["same_as"] = object_text(description.same_as, [](const SameAsRecord& copy) {
      return text_of({copy.dtype, copy.shape, copy.original});
    });
  if (!description.quantised.empty())
    members["quantised"] = object_text(description.quantised,
                                       [](const SourceFormat& format) { return text_of(to_json(format)); });
  if (!description.carried.empty())
    members["carried"] = object_text(description.carried, [](const CarriedFile& file) {
      return text_of({file.bytes, file.xxh3_128});
    });
  return object_text(members, [](const std::string& text) { return text; });
}

Result<Description> parse_description(std::string_view text) {
  Description description;
  Status entries = Status::ok();  // of all; what the version says comes first
  auto parsed =
      parse_json_entries(text, kEntries, [&](const std::string& member, const std::string& name, json value) {
        if (!entries.is_ok()) return Status::ok();
        entries = read_entry(member, name, std::move(value), &description);
        if (!entries.is_ok()) entries = std::move(entries).error().in_tensor(name);
        return Status::ok();
      });
  if (!parsed.is_ok()) {
    Error failure = std::move(parsed).error();
    failure.message = "description: " + failure.message;
    return failure;
  }
  const json& root = *parsed;
  LLMC_ASSIGN_OR_RETURN(description.format_version, read_version(root));
  LLMC_ASSIGN_OR_RETURN(description.writer, string_member(root, "writer"));
  LLMC_ASSIGN_OR_RETURN(description.command, string_member(root, "command"));
  LLMC_RETURN_IF_ERROR(read_source(root, &description));
  LLMC_RETURN_IF_ERROR(read_shard(root, &description));
  LLMC_RETURN_IF_ERROR(read_carried(root, &description));
  LLMC_RETURN_IF_ERROR(check_entries(root));
  LLMC_RETURN_IF_ERROR(std::move(entries));
  LLMC_RETURN_IF_ERROR(check_copies(&description));
  LLMC_RETURN_IF_ERROR(check_owners(description));
  LLMC_RETURN_IF_ERROR(check_quantised(&description));
  return description;
}

std::string description_name(uint64_t shard) {
  return kDescriptionPrefix + std::to_string(shard);
}

ArchiveMetadata archive_metadata(const std::string& description) {
  return {{kFormatKey, kFormatName}, {kChecksumKey, xxh3_128(std::as_bytes(std::span(description)))}};
}

std::vector<std::byte> pack_description(std::string_view text) {
  constexpr size_t kLarge = 1 << 20;  // some twenty billion weights, or very many tensors
  return pack(std::as_bytes(std::span(text)), text.size() < kLarge ? kPackSmallest : kPackQuickly);
}

Result<Description> unpack_description(const ArchiveMetadata& metadata, std::span<const std::byte> packed,
                                       uint64_t file_bytes) {
  const auto checksum = metadata.find(kChecksumKey);
  if (checksum == metadata.end())
    return error(ErrorKind::kCorrupt, "the description's checksum '{}' is absent", kChecksumKey);
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::byte> text,
                        unpack(packed, std::min(kMaxJsonBytes, max_unpacked_bytes(file_bytes))));
  if (checksum->second != xxh3_128(text))
    return error(ErrorKind::kCorrupt, "the description fails its checksum");
  return parse_description(std::string_view(reinterpret_cast<const char*>(text.data()), text.size()));
}

}  // namespace llmcodec
