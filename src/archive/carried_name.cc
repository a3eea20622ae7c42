// SPDX-License-Identifier: BSD-3-Clause
#include "archive/carried_name.h"

#include <algorithm>

#include "base/error.h"
#include "base/limits.h"
#include "base/plain_name.h"
#include "tensor/model_folder.h"
#include "tensor/shard_name.h"

namespace llmcodec {
namespace {

// What decompress writes itself into a restored folder.
bool is_weights(std::string_view name, const std::string& stem) {
  const bool named = name.starts_with(stem + ".") || name.starts_with(stem + "-");
  return (named && (name.ends_with(kFileSuffix) || name.ends_with(kIndexSuffix))) ||
         name == index_file_name(stem);
}

// Locks and journals of this program, and its folders.
bool is_own(std::string_view name) {
  return name.starts_with(kOwnFilePrefix) || name.find(std::string("/") + kOwnFilePrefix) != name.npos;
}

}  // namespace

CarriedNames::CarriedNames(const ModelParts& parts) {
  stems_[""] = {kModelStem};
  for (const ModelPart& part : parts) {
    stems_[part.folder].push_back(part.stem);
    for (std::string folder = part.folder; !folder.empty() && folders_.insert(folder).second;)
      folder.resize(folder.find('/') == folder.npos ? 0 : folder.rfind('/'));
  }
}

bool CarriedNames::is_weights_of_part(const std::string& folder, std::string_view base) const {
  const auto found = stems_.find(folder);
  return found != stems_.end() &&
         std::ranges::any_of(found->second, [&](const std::string& stem) { return is_weights(base, stem); });
}

// Of a folder on the way the name is as much in the way of weights as that of the file. No part is deeper than the levels
// that are looked at.
bool CarriedNames::is_taken(const std::string& name) const {
  if (is_own(name) || folders_.contains(name)) return true;
  size_t begin = 0;
  for (uint64_t level = 0; level <= kMaxPartLevels && begin < name.size(); ++level) {
    const std::string folder = name.substr(0, begin == 0 ? 0 : begin - 1);
    const size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view rest = std::string_view(name).substr(begin);
    if (is_weights_of_part(folder, rest.substr(0, end - begin)) || is_weights_of_part(folder, rest))
      return true;
    begin = end + 1;
  }
  return false;
}

Status CarriedNames::check(const std::string& name) const {
  if (!is_plain_name(name))
    return error(ErrorKind::kInvalidArgument,
                 "'{}' is no plain name of a file to be carried along (relative, no '..', no backslash, no "
                 "control characters, UTF-8)",
                 name);
  if (is_taken(name))
    return error(ErrorKind::kInvalidArgument, "a file called '{}' cannot be carried along: the name is taken",
                 name);
  return Status::ok();
}

}  // namespace llmcodec
