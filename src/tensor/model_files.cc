// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/model_files.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "tensor/model_folder.h"
#include "tensor/shard_name.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

using Names = std::vector<std::string>;

template <class List>
bool ends_with_any(std::string_view text, const List& ends) {
  return std::ranges::any_of(ends, [&](std::string_view end) { return text.ends_with(end); });
}

std::string_view base_name(std::string_view name) {
  return name.substr(name.rfind('/') + 1);
}
bool in_top_folder(std::string_view name) {
  return name.find('/') == std::string_view::npos;
}

Names matching(const Names& names, const auto& wanted) {
  Names found;
  std::ranges::copy_if(names, std::back_inserter(found), wanted);
  return found;
}

std::string listed(const Names& names) {
  constexpr size_t kMost = 4;
  std::string text;
  for (size_t i = 0; i < names.size() && i < kMost; ++i) text += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kMost ? fmt::format("{} and {} more", text, names.size() - kMost) : text;
}

Names in_folder(const std::string& folder, Names names) {
  for (std::string& name : names) name = (fs::path(folder) / name).string();
  return names;
}

bool is_pickle_name(std::string_view name) {
  return ends_with_any(name, std::array{".bin", ".pth", ".pt", ".ckpt"}) &&
         name.find("training_args") == name.npos;
}

// Shards whose index is not there.
std::optional<Error> shards_without_index(const Names& names) {
  std::map<std::string, std::pair<uint32_t, uint32_t>> sets;  // stem -> shards there, shards in all
  for (const std::string& name : names) {
    if (!in_top_folder(name)) continue;
    const auto shard = parse_shard_name(name, kFileSuffix);
    if (shard && shard->count > 1) sets[shard->stem] = {sets[shard->stem].first + 1, shard->count};
  }
  if (sets.empty()) return std::nullopt;
  const auto& [stem, shards] = *sets.begin();
  return error(ErrorKind::kInvalidArgument,
               "{} of {} shards, and no index to say what they hold; get {} too (hf download gets all files "
               "of a model)",
               shards.first, shards.second, index_file_name(stem));
}

// GGUF files, of those in parts the first ones.
Names gguf_models(const Names& names) {
  return matching(names, [](const std::string& name) {
    const auto shard = parse_shard_name(name, ".gguf");
    return name.ends_with(".gguf") && (!shard || shard->number == 1);
  });
}

// The folders below that hold safetensors files, as the parts of a pipeline do.
Names folders_with_weights(const Names& names) {
  Names folders;
  for (const std::string& name : names) {
    const size_t slash = name.rfind('/');
    if (slash == std::string::npos || !name.ends_with(kFileSuffix) || is_left_out(name, "")) continue;
    if (folders.empty() || folders.back() != name.substr(0, slash)) folders.push_back(name.substr(0, slash));
  }
  return folders;
}

Error pipeline_hint(const std::string& folder, const Names& folders) {
  std::string commands;
  for (const std::string& below : folders)
    commands += fmt::format("{}`llmcodec compress {} -o OUT/{}`", commands.empty() ? "" : ", ",
                            (fs::path(folder) / below).string(), below);
  return error(ErrorKind::kInvalidArgument,
               "no weights here, but in folders below ({}), and neither {} nor {}, which would make it a "
               "pipeline: get "
               "that file too; or compress each folder into its place, and copy the other files: {}",
               listed(folders), kDiffusersMark, kSentenceTransformersMark, commands);
}

// What there is in a folder without weights that could be read.
Error explain_no_weights(const std::string& folder, const Names& names) {
  if (auto failure = shards_without_index(names)) return *failure;
  if (const Names gguf = gguf_models(names); !gguf.empty())
    return error(ErrorKind::kInvalidArgument,
                 "holds GGUF files, each of which is a model by itself; give the file: {}",
                 listed(in_folder(folder, gguf)));
  const Names pickles = matching(names, is_pickle_name);
  const Names below = folders_with_weights(names);
  if (std::ranges::any_of(pickles, in_top_folder) || (below.empty() && !pickles.empty()))
    return error(
        ErrorKind::kUnsupported,
        "has its weights as PyTorch pickles only ({}), which may run code when they are loaded and are not "
        "read here; convert them first: AutoModel.from_pretrained(IN).save_pretrained(OUT) of transformers "
        "writes safetensors",
        listed(pickles));
  if (!below.empty()) return pipeline_hint(folder, below);
  const Names others = matching(names, [](std::string_view name) {
    return ends_with_any(
        name, std::array{".onnx", ".h5", ".msgpack", ".ot", ".tflite", ".npz", ".pdparams", ".mlmodel"});
  });
  if (!others.empty())
    return error(
        ErrorKind::kUnsupported,
        "has its weights only in formats that are not read here ({}); get them as safetensors or GGUF",
        listed(others));
  return error(ErrorKind::kInvalidArgument, "no weights in this folder; looked for {}, {}, *{} and *{}",
               kIndexFileName, kSingleFileName, kIndexSuffix, kFileSuffix);
}

// By conventional names first: the index goes before the file, for beside shards it is what makes them a model. Then
// the only index, that of a variant, or file under another name.
Result<std::string> choose_weights(const std::string& folder, const Names& names) {
  for (const char* stem : {"model", "diffusion_pytorch_model", "adapter_model"}) {
    for (const std::string_view suffix : {kIndexSuffix, kFileSuffix}) {
      std::string name = std::string(stem) + std::string(suffix);
      if (std::ranges::binary_search(names, name)) return name;
    }
  }
  const auto is_plain_index = [](std::string_view name) { return name.ends_with(kIndexSuffix); };
  const auto is_file = [](std::string_view name) { return name.ends_with(kFileSuffix); };
  for (bool (*wanted)(std::string_view) : {+is_plain_index, &is_variant_index_name, +is_file}) {
    const Names found =
        matching(names, [&](const std::string& name) { return in_top_folder(name) && wanted(name); });
    if (found.size() == 1 && !shards_without_index(found)) return found[0];
    if (found.size() > 1 && !shards_without_index(found))
      return error(ErrorKind::kInvalidArgument,
                   "several sets of weights ({}, {}, ...) and neither {} nor {}; give one", found[0],
                   found[1], kIndexFileName, kSingleFileName);
  }
  return explain_no_weights(folder, names);
}

// Where tools put what is no part of the model as it is loaded.
bool is_foreign_folder(std::string_view name) {
  constexpr auto kFolders =
      std::to_array<std::string_view>({"original", "onnx", "openvino", "runs", "coreml", "wandb"});
  if (std::ranges::find(kFolders, name) != kFolders.end()) return true;
  for (const std::string_view prefix : {"checkpoint-", "global_step"}) {
    const std::string_view rest = name.starts_with(prefix) ? name.substr(prefix.size()) : std::string_view();
    if (!rest.empty() && rest.find_first_not_of("0123456789") == rest.npos) return true;
  }
  return false;
}

bool is_training_state(std::string_view base) {
  constexpr auto kNames = std::to_array<std::string_view>(
      {"optimizer.pt", "optimizer.bin", "scheduler.pt", "scaler.pt", "training_args.bin"});
  return std::ranges::find(kNames, base) != kNames.end() || base.starts_with("rng_state") ||
         base.starts_with("events.out.tfevents");
}

// "diffusion_pytorch_model" of "diffusion_pytorch_model.safetensors.index.json"
std::string_view weights_stem(std::string_view weights) {
  return weights.substr(0, weights.find('.'));
}

// Weights of another name in the top folder, where the model's own were found: adapters, other precisions.
bool is_twin(std::string_view name, std::string_view weights) {
  const auto kStems =
      std::to_array<std::string_view>({"adapter_model", "diffusion_pytorch_model", "diffusion_flax_model",
                                       "openvino_model", weights_stem(weights)});
  constexpr auto kSuffixes = std::to_array<std::string_view>(
      {".bin", ".pt", ".ckpt", ".msgpack", ".safetensors", ".safetensors.index.json"});
  return std::ranges::any_of(kStems, [&](std::string_view stem) {
    const bool named = name.starts_with(stem) && name.size() > stem.size() &&
                       (name[stem.size()] == '.' || name[stem.size()] == '-');
    return !stem.empty() && named && (is_variant_index_name(name) || ends_with_any(name, kSuffixes));
  });
}

}  // namespace

bool is_left_out(const std::string& name, const std::string& weights) {
  const std::string_view base = base_name(name);
  return is_in_foreign_folder(name) || is_training_state(base) ||
         ends_with_any(base, std::array{".gguf", ".pth", ".onnx", ".onnx_data", ".onnx.data"}) ||
         is_other_weight_format(name) || (in_top_folder(name) && is_twin(base, weights));
}

bool is_in_foreign_folder(const std::string& name) {
  std::string_view rest = name;
  for (size_t slash; (slash = rest.find('/')) != rest.npos; rest.remove_prefix(slash + 1)) {
    if (is_foreign_folder(rest.substr(0, slash))) return true;
  }
  return false;
}

bool is_weights_below(const std::string& name) {
  return ends_with_any(name, std::array{".safetensors", ".bin", ".pt", ".ckpt", ".h5"});
}

// Models have three levels. Each that is open keeps its whole path, so that memory grows with the square.
constexpr int kMaxFolderDepth = 64;

// Links to files are followed (Hugging Face's cache is made of them), links to folders are not.
Result<ModelFiles> list_model_files(const std::string& folder) {
  ModelFiles files;
  std::error_code code;
  fs::recursive_directory_iterator entry(folder, code);
  for (; !code && entry != fs::recursive_directory_iterator(); entry.increment(code)) {
    if (entry.depth() > kMaxFolderDepth)
      return error(ErrorKind::kLimit, "has more than {} levels of folders inside each other", kMaxFolderDepth)
          .in_file(folder);
    const std::string base = entry->path().filename().string();
    const std::string name = entry->path().lexically_relative(folder).generic_string();
    std::error_code kind_code;  // what cannot be looked at is neither folder nor file
    const bool link = entry->is_symlink(kind_code);
    if (entry->is_directory(kind_code)) {
      const bool of_tool = base == ".git" || base == ".cache" || base.starts_with(kOwnFilePrefix);
      if (of_tool) entry.disable_recursion_pending();
      if (base == kStoppedSwapFolder)
        files.stopped.push_back(fs::path(name).parent_path().generic_string());
      else if (link && !of_tool)
        files.folder_links.push_back(name);
    } else if (base.starts_with(kOwnFilePrefix)) {
      continue;
    } else if (entry->is_regular_file(kind_code)) {
      files.all.push_back(name);
    } else if (link && !entry->exists(kind_code)) {
      files.dangling.push_back(name);
    } else if (entry->is_other(kind_code)) {
      files.special.push_back(name);
    }
  }
  if (code) return error(ErrorKind::kIo, "cannot list the folder: {}", code.message()).in_file(folder);
  for (Names* names : {&files.all, &files.dangling, &files.folder_links, &files.special, &files.stopped})
    std::ranges::sort(*names);
  return files;
}

Result<std::string> find_weights(const std::string& folder, const ModelFiles& files) {
  Names names = files.all;  // a link that leads nowhere is named as what it should be
  names.insert(names.end(), files.dangling.begin(), files.dangling.end());
  std::ranges::sort(names);
  auto weights = choose_weights(folder, names);
  if (!weights.is_ok()) return std::move(weights).error().in_file(folder);
  return weights;
}

Result<std::string> resolve_hub_folder(const std::string& path) {
  std::error_code code;
  const fs::path snapshots = fs::path(path) / "snapshots";
  const bool hub = fs::is_directory(snapshots, code) && fs::is_directory(fs::path(path) / "blobs", code);
  if (!hub) return path;
  const auto main = read_prefix((fs::path(path) / "refs" / "main").string(), 64);
  if (main.is_ok() && !main->empty() && main->find_first_not_of("0123456789abcdef") == std::string::npos) {
    if (fs::is_directory(snapshots / *main, code)) return (snapshots / *main).string();
  }
  Names found;
  for (fs::directory_iterator entry(snapshots, code); !code && entry != fs::directory_iterator();
       entry.increment(code))
    found.push_back(entry->path().string());
  if (code)
    return error(ErrorKind::kIo, "cannot list the folder: {}", code.message()).in_file(snapshots.string());
  std::ranges::sort(found);
  if (found.size() == 1) return found[0];
  if (found.empty())
    return error(ErrorKind::kIo,
                 "a model of Hugging Face's cache of which no snapshot is there; download it again")
        .in_file(path);
  return error(ErrorKind::kInvalidArgument,
               "a model of Hugging Face's cache with several snapshots, none of which refs/main names; give "
               "one: {}",
               listed(found))
      .in_file(path);
}

}  // namespace llmcodec
