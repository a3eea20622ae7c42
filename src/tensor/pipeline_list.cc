// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/pipeline_list.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/limits.h"
#include "tensor/json_text.h"
#include "tensor/model_folder.h"

namespace llmcodec {
namespace {

using nlohmann::json;

// Null where the file is not there or is no JSON.
json read_json(const std::string& root, const char* name) {
  const auto text = read_text_file((std::filesystem::path(root) / name).string(), kMaxJsonBytes);
  if (!text.is_ok()) return nullptr;
  auto value = parse_json_value<json>(*text);
  return value.is_ok() ? std::move(value).value() : json(nullptr);
}

}  // namespace

std::set<std::string> listed_parts(const std::string& root) {
  std::set<std::string> folders;
  const json diffusers = read_json(root, kDiffusersMark);
  if (diffusers.is_object()) {
    // "unet": ["diffusers", "UNet2DConditionModel"], beside settings that are no lists.
    for (const auto& [name, value] : diffusers.items()) {
      if (value.is_array()) folders.insert(name);
    }
    return folders;
  }
  const json modules = read_json(root, kSentenceTransformersMark);
  if (!modules.is_array()) return folders;
  for (const json& module : modules) {
    const auto path = module.is_object() ? module.find("path") : module.end();
    if (module.is_object() && path != module.end() && path->is_string())
      folders.insert(path->get<std::string>());
  }
  return folders;
}

}  // namespace llmcodec
