// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/pipeline_folder.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>

#include "base/limits.h"
#include "tensor/model_folder.h"
#include "tensor/model_parts.h"
#include "tensor/shard_name.h"

namespace llmcodec {
namespace {

using Names = std::vector<std::string>;
using FilesByFolder = std::map<std::string, ModelFiles>;  // names without the folder

std::pair<std::string, std::string> split(const std::string& name) {
  const size_t slash = name.rfind('/');
  if (slash == std::string::npos) return {"", name};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

bool is_safetensors(std::string_view name) {
  return name.ends_with(kFileSuffix) || is_index_name(name);
}

bool is_pickled_weights(std::string_view name) {
  return has_loaders_name(name) && name.ends_with(".bin");
}

// Whether the name is that of weights in one of the formats that are left out wherever they are found. ONNX is none of them:
// Stable Diffusion XL has exports beside the parts (vae_decoder/model.onnx), which diffusers does not load.
bool is_foreign_weights(std::string_view name) {
  constexpr auto kSuffixes = std::to_array<std::string_view>({".gguf", ".pth", ".h5", ".msgpack", ".ot"});
  return std::ranges::any_of(kSuffixes, [&](std::string_view suffix) { return name.ends_with(suffix); }) &&
         is_left_out(std::string(name), "");
}

bool has(const Names& names, std::string_view name) {
  return std::ranges::binary_search(names, name);
}

FilesByFolder sorted_by_folder(const ModelFiles& files) {
  FilesByFolder folders;
  const auto add = [&](const Names& names, Names ModelFiles::*list) {
    for (const std::string& name : names) {
      const auto [folder, base] = split(name);
      (folders[folder].*list).push_back(base);
    }
  };
  add(files.all, &ModelFiles::all);
  add(files.dangling, &ModelFiles::dangling);  // each is named as what it should be
  return folders;
}

class PipelineFinder {
 public:
  PipelineFinder(const std::string& root, bool diffusers) : root_(root), diffusers_(diffusers) {
    found_.diffusers = diffusers;
    found_.root_is_no_part = diffusers;
  }

  Status look_at(const std::string& folder, const ModelFiles& files) {
    Names names = files.all;
    names.insert(names.end(), files.dangling.begin(), files.dangling.end());
    const auto any = [&](auto wanted) { return std::ranges::any_of(names, wanted); };
    const bool conventional =
        any([](std::string_view n) { return is_safetensors(n) && has_loaders_name(n); });
    // What a loader would take is in the pickle, whatever else has tensors: a LoRA beside it is not the part.
    if (!conventional && any(is_pickled_weights)) return look_at_unread(folder, files, is_pickled_weights);
    if (!any(is_safetensors)) {
      const bool foreign = diffusers_ && any(is_foreign_weights);
      return foreign ? look_at_unread(folder, files, is_foreign_weights) : Status::ok();
    }
    if (folder.empty() && diffusers_ && !conventional) return Status::ok();
    auto weights = find_weights(path_of(folder), files);
    if (weights.is_ok()) return add(folder, *weights);
    // Several files under names of somebody's own are no part that a loader would find: they are carried along.
    return conventional ? Status(in_part(folder, std::move(weights).error())) : Status::ok();
  }

  bool is_empty() const { return found_.parts.empty() && found_.unread.empty(); }
  PipelineFiles take() {
    std::ranges::sort(found_.parts, {}, &PartWeights::folder);
    return std::move(found_);
  }

 private:
  std::string path_of(const std::string& folder) const {
    return folder.empty() ? root_ : (std::filesystem::path(root_) / folder).string();
  }

  Status add(const std::string& folder, const std::string& weights) {
    if (Status status = check_part_folder(folder); !status.is_ok())
      return std::move(status).error().in_file(path_of(folder));
    if (found_.parts.size() == kMaxParts)
      return error(ErrorKind::kLimit, "a pipeline of more than {} parts", kMaxParts).in_file(root_);
    found_.parts.push_back({folder, weights});
    if (folder.empty()) found_.root_is_no_part = false;
    return Status::ok();
  }

  // The small layers behind a sentence-transformer are carried along as they are; a part of diffusers is large, and the
  // root is the model.
  Status look_at_unread(const std::string& folder, const ModelFiles& files,
                        bool (*is_weights)(std::string_view)) {
    if (diffusers_ == folder.empty()) return Status::ok();
    ModelFiles without = files;  // what is wrong is said of these weights alone
    for (Names* names : {&without.all, &without.dangling}) std::erase_if(*names, is_safetensors);
    Error why = in_part(folder, find_weights(path_of(folder), without).error());
    if (!diffusers_) return why;
    why.message += fmt::format("; or --carry {} takes it along as it is", pattern_of_part(folder));
    Names weights;
    for (const std::string& name : files.all) {
      if (is_weights(name)) weights.push_back(part_prefix(folder) + name);
    }
    found_.unread.push_back({folder, std::move(weights), std::move(why)});
    return Status::ok();
  }

  const std::string& root_;
  const bool diffusers_;
  PipelineFiles found_;
};

}  // namespace

bool has_loaders_name(std::string_view name) {
  constexpr auto kStems =
      std::to_array<std::string_view>({"model", "diffusion_pytorch_model", "adapter_model", "pytorch_model"});
  return std::ranges::any_of(kStems, [&](std::string_view stem) {
    return name.starts_with(stem) && name.size() > stem.size() &&
           (name[stem.size()] == '.' || name[stem.size()] == '-');
  });
}

Error in_part(const std::string& folder, Error failure) {
  failure.message = folder.empty() ? "the root of the pipeline: " + failure.message
                                   : fmt::format("part '{}' of the pipeline: {}", folder, failure.message);
  return failure;
}

Result<PipelineFiles> find_pipeline(const std::string& folder, const ModelFiles& files) {
  const bool diffusers = has(files.all, kDiffusersMark);
  if (!diffusers && !has(files.all, kSentenceTransformersMark)) return PipelineFiles{};
  for (const std::string& stopped : files.stopped) {
    if (!is_in_foreign_folder(stopped + "/"))
      LLMC_RETURN_IF_ERROR(check_folder_is_whole((std::filesystem::path(folder) / stopped).string()));
  }
  PipelineFinder finder(folder, diffusers);
  const FilesByFolder folders = sorted_by_folder(files);
  // The root comes last: where it holds all weights, the folder is one as any other.
  for (const auto& [name, own] : folders) {
    if (!name.empty() && !is_in_foreign_folder(name + "/")) LLMC_RETURN_IF_ERROR(finder.look_at(name, own));
  }
  if (finder.is_empty()) return PipelineFiles{};
  LLMC_RETURN_IF_ERROR(
      finder.look_at("", folders.at("")));  // where the file is that says that it is a pipeline
  PipelineFiles found = finder.take();
  if (found.parts.empty()) return found.unread[0].why;
  return found;
}

bool is_left_out(const std::string& name, const PipelineFiles& pipeline) {
  const auto [folder, base] = split(name);
  if (is_in_foreign_folder(name)) return true;
  const auto part = std::ranges::find(pipeline.parts, folder, &PartWeights::folder);
  if (part != pipeline.parts.end()) return is_left_out(base, part->weights);
  for (const UnreadPart& unread : pipeline.unread) {
    if (std::ranges::find(unread.files, name) != unread.files.end()) return true;
  }
  const bool again = folder.empty() && pipeline.root_is_no_part;
  return is_left_out(name, "") || (again && (is_safetensors(base) || is_weights_below(base)));
}

}  // namespace llmcodec
