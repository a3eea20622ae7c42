// SPDX-License-Identifier: BSD-3-Clause
#include "archive/carried_name.h"

#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "base/plain_name.h"
#include "tensor/model_folder.h"
#include "tensor/shard_name.h"

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

}  // namespace

Status check_carried_name(const std::string& name, const std::string& stem) {
  if (!is_plain_name(name))
    return error(ErrorKind::kInvalidArgument,
                 "'{}' is no plain name of a file to be carried along (relative, no '..', no backslash, no "
                 "control characters, UTF-8)",
                 name);
  if (is_weights(name, kModelStem) || is_weights(name, stem) || is_own_file(name))
    return error(ErrorKind::kInvalidArgument, "a file called '{}' cannot be carried along: the name is taken",
                 name);
  return Status::ok();
}

std::string stem_of_weights(const std::vector<std::string>& source_files) {
  std::string common;
  for (const std::string& file : source_files) {
    if (!file.ends_with(kWeightsSuffix)) return kModelStem;
    const auto shard = parse_shard_name(file, kWeightsSuffix);
    std::string stem = shard ? shard->stem : file.substr(0, file.size() - kWeightsSuffix.size());
    const bool plain = is_plain_name(stem) && stem.find('/') == std::string::npos && !is_own_file(stem);
    if (!plain || (!common.empty() && common != stem)) return kModelStem;
    common = std::move(stem);
  }
  return common.empty() ? kModelStem : common;
}

}  // namespace llmcodec
