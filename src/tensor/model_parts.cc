// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/model_parts.h"

#include <algorithm>

#include "base/error.h"
#include "base/limits.h"
#include "base/plain_name.h"
#include "tensor/model_folder.h"
#include "tensor/shard_name.h"

namespace llmcodec {
namespace {

// Names that files of a model may get, and those of this program.
bool is_taken(std::string_view component) {
  return component.ends_with(kFileSuffix) || is_index_name(component) ||
         component.starts_with(kOwnFilePrefix);
}

}  // namespace

std::string stem_of_weights(const std::vector<std::string>& source_files) {
  std::string common;
  for (const std::string& file : source_files) {
    if (!file.ends_with(kFileSuffix)) return kModelStem;
    const auto shard = parse_shard_name(file, kFileSuffix);
    std::string stem =
        shard ? shard->stem : file.substr(0, file.size() - std::string_view(kFileSuffix).size());
    const bool plain =
        is_plain_name(stem) && stem.find('/') == std::string::npos && !stem.starts_with(kOwnFilePrefix);
    if (!plain || (!common.empty() && common != stem)) return kModelStem;
    common = std::move(stem);
  }
  return common.empty() ? kModelStem : common;
}

ModelParts parts_of_files(const std::vector<std::string>& source_files,
                          const std::map<std::string, std::map<std::string, std::string>>& metadata) {
  std::map<std::string, std::vector<std::string>> names;
  for (const std::string& file : source_files) {
    const size_t slash = file.rfind('/');
    if (slash == std::string::npos)
      names[""].push_back(file);
    else
      names[file.substr(0, slash)].push_back(file.substr(slash + 1));
  }
  ModelParts parts;
  for (const auto& [folder, own] : metadata) parts.push_back({folder, stem_of_weights(names[folder]), own});
  return parts;
}

std::string part_prefix(const std::string& folder) {
  return folder.empty() ? "" : folder + "/";
}

std::string pattern_of_part(const std::string& folder) {
  std::string pattern = "'^";
  for (const char c : folder) {
    if (c == '\'') {
      pattern += "'\\''";
      continue;
    }
    if (std::string_view("\\.+*?()|[]{}^$").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern + "/'";
}

Status check_part_folder(const std::string& folder) {
  if (folder.empty()) return Status::ok();
  if (!is_plain_name(folder))
    return error(
        ErrorKind::kInvalidArgument,
        "'{}' is no plain name of a folder with a part of a model (relative, no '..', no backslash, no "
        "control characters, UTF-8)",
        folder);
  uint64_t levels = 0;
  bool taken = folder.starts_with("llmcodec.");  // names of tensors that are an archive's own
  for (std::string_view rest = folder; !rest.empty(); ++levels) {
    const size_t slash = std::min(rest.find('/'), rest.size());
    taken = taken || is_taken(rest.substr(0, slash));
    rest.remove_prefix(std::min(slash + 1, rest.size()));
  }
  if (levels > kMaxPartLevels)
    return error(ErrorKind::kLimit, "a part of a model {} folders deep, at most {} are accepted", levels,
                 kMaxPartLevels);
  if (taken)
    return error(ErrorKind::kInvalidArgument,
                 "a part of a model cannot be in a folder '{}': the name is taken", folder);
  return Status::ok();
}

PartFolders::PartFolders(std::vector<std::string> folders) : folders_(std::move(folders)) {
  std::ranges::sort(folders_);
}

std::optional<size_t> PartFolders::prefix_bytes(std::string_view name) const {
  const auto is_part = [&](std::string_view folder) { return std::ranges::binary_search(folders_, folder); };
  std::optional<size_t> longest = is_part("") ? std::optional<size_t>(0) : std::nullopt;
  size_t slash = name.find('/');
  for (uint64_t level = 0; level < kMaxPartLevels && slash != name.npos; ++level) {
    if (slash > 0 && is_part(name.substr(0, slash))) longest = slash + 1;  // the root has no slash behind it
    slash = name.find('/', slash + 1);
  }
  return longest;
}

std::vector<PartRange> part_ranges(const std::vector<TensorInfo>& tensors, const ModelParts& parts) {
  std::vector<PartRange> ranges;
  size_t next = 0;
  for (const ModelPart& part : parts) {
    const size_t first = next;
    while (next < tensors.size() && tensors[next].part() == part.folder) ++next;
    ranges.push_back({first, next - first});
  }
  return ranges;
}

std::vector<TensorInfo> local_tensors(const std::vector<TensorInfo>& tensors, const PartRange& range) {
  std::vector<TensorInfo> local;
  for (size_t i = range.first; i < range.first + range.count; ++i)
    local.push_back({std::string(tensors[i].local_name()), tensors[i].dtype, tensors[i].shape});
  return local;
}

}  // namespace llmcodec
