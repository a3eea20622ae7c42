// SPDX-License-Identifier: BSD-3-Clause
#include "archive/description_parts.h"

#include <fmt/format.h>

#include <set>

#include "base/error.h"
#include "base/limits.h"
#include "base/plain_name.h"
#include "tensor/model_source.h"

namespace llmcodec {
namespace {

using nlohmann::json;

Error missing(const char* field) {
  return error(ErrorKind::kCorrupt, "description lacks a valid '{}'", field);
}

Error in_description(Error failure) {
  if (failure.kind == ErrorKind::kInvalidArgument) failure.kind = ErrorKind::kCorrupt;
  failure.message = "description: " + failure.message;
  return failure;
}

// The files of a pipeline have names in its folder: each is of the part in whose folder it is, and every part has some.
Status check_files_of_parts(const Description& description) {
  std::set<std::string> names, folders;
  for (const SourceFileRecord& file : description.source_files) {
    const size_t slash = file.name.rfind('/');
    const std::string folder = slash == std::string::npos ? "" : file.name.substr(0, slash);
    if (!is_plain_name(file.name) || !description.source_parts.contains(folder))
      return error(ErrorKind::kCorrupt, "description: '{}' is the name of no file of a part", file.name);
    if (!names.insert(file.name).second)
      return error(ErrorKind::kCorrupt, "description: the file '{}' is listed twice", file.name);
    folders.insert(folder);
  }
  for (const auto& [folder, metadata] : description.source_parts) {
    if (!folders.contains(folder))
      return error(ErrorKind::kCorrupt, "description: part '{}' has no file", folder);
  }
  return Status::ok();
}

}  // namespace

Result<ArchiveMetadata> texts_from_json(const json& value, const char* field) {
  if (!value.is_object()) return missing(field);
  ArchiveMetadata texts;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) return missing(field);
    texts[key] = text.get<std::string>();
  }
  return texts;
}

Status read_parts(const json& source, Description* description) {
  const auto parts = source.find("parts");
  const bool pipeline = description->source_kind == model_kind_name(ModelKind::kPipeline);
  if (!pipeline && (parts == source.end() || description->format_version < 3)) return Status::ok();
  const bool sound = pipeline && description->format_version >= 3 && !source.contains("metadata") &&
                     parts != source.end() && parts->is_object() && !parts->empty();
  if (!sound) return missing("parts");
  if (parts->size() > kMaxParts)
    return error(ErrorKind::kLimit, "description: {} parts, at most {} are accepted", parts->size(),
                 kMaxParts);
  for (const auto& [folder, value] : parts->items()) {
    if (Status status = check_part_folder(folder); !status.is_ok())
      return in_description(std::move(status).error());
    LLMC_ASSIGN_OR_RETURN(description->source_parts[folder], texts_from_json(value, "parts"));
  }
  return check_files_of_parts(*description);
}

// Every tensor of a pipeline is in one of its parts.
Status check_owners(const Description& description) {
  if (description.source_parts.empty()) return Status::ok();
  const PartFolders folders = description.part_folders();
  const auto check = [&](const std::string& name) -> Status {
    const auto prefix = folders.prefix_bytes(name);
    if (prefix && *prefix < name.size()) return Status::ok();
    return error(ErrorKind::kCorrupt, "description: a tensor of no part of the pipeline").in_tensor(name);
  };
  for (const auto& [name, record] : description.tensors) LLMC_RETURN_IF_ERROR(check(name));
  for (const auto& [name, record] : description.exact) {
    if (!name.starts_with(kOwnPrefix)) LLMC_RETURN_IF_ERROR(check(name));
  }
  for (const auto& [name, copy] : description.same_as) LLMC_RETURN_IF_ERROR(check(name));
  return Status::ok();
}

ModelParts Description::parts() const {
  std::vector<std::string> names;
  for (const SourceFileRecord& file : source_files) names.push_back(file.name);
  if (!source_parts.empty()) return parts_of_files(names, source_parts);
  return {{"", stem_of_weights(names), source_metadata}};
}

PartFolders Description::part_folders() const {
  if (source_parts.empty()) return PartFolders();
  std::vector<std::string> folders;
  for (const auto& [folder, metadata] : source_parts) folders.push_back(folder);
  return PartFolders(std::move(folders));
}

Status check_no_empty_part(const Description& description) {
  if (description.source_parts.empty()) return Status::ok();
  const PartFolders folders = description.part_folders();
  std::set<std::string_view> found;
  const auto add = [&](const std::string& name) {
    found.insert(std::string_view(name).substr(0, folders.prefix_bytes(name).value_or(0)));
  };
  for (const auto& [name, record] : description.tensors) add(name);
  for (const auto& [name, record] : description.exact) add(name);
  for (const auto& [name, copy] : description.same_as) add(name);
  for (const auto& [folder, metadata] : description.source_parts) {
    if (!found.contains(part_prefix(folder)))
      return error(ErrorKind::kCorrupt, "part '{}' of the pipeline has no tensors", folder);
  }
  return Status::ok();
}

}  // namespace llmcodec
