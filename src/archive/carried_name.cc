// SPDX-License-Identifier: BSD-3-Clause
#include "archive/carried_name.h"

#include <string_view>

#include "base/error.h"
#include "base/plain_name.h"
#include "tensor/model_folder.h"

namespace llmcodec {
namespace {

constexpr std::string_view kWeightsSuffix = ".safetensors";

// What decompress writes itself into a restored folder.
bool is_weights(std::string_view name, const std::string& stem) {
  return (name.starts_with(stem + ".") || name.starts_with(stem + "-")) &&
         (name.ends_with(kWeightsSuffix) || name.ends_with(".safetensors.index.json"));
}

// Locks and journals of this program.
bool is_own_file(std::string_view name) {
  return name.substr(name.rfind('/') + 1).starts_with(kOwnFilePrefix);
}

// Whether weights of the part, or the folders on the way to them, get this name.
bool is_of_part(std::string_view name, const ModelPart& part) {
  const std::string prefix = part_prefix(part.folder);
  return prefix.starts_with(std::string(name) + "/") ||
         (name.starts_with(prefix) && is_weights(name.substr(prefix.size()), part.stem));
}

}  // namespace

Status check_carried_name(const std::string& name, const ModelParts& parts) {
  if (!is_plain_name(name))
    return error(ErrorKind::kInvalidArgument,
                 "'{}' is no plain name of a file to be carried along (relative, no '..', no backslash, no "
                 "control characters, UTF-8)",
                 name);
  bool taken = is_weights(name, kModelStem) || is_own_file(name);
  for (const ModelPart& part : parts) taken = taken || is_of_part(name, part);
  if (taken)
    return error(ErrorKind::kInvalidArgument, "a file called '{}' cannot be carried along: the name is taken",
                 name);
  return Status::ok();
}

}  // namespace llmcodec
