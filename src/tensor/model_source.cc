// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/model_source.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/file.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndexSuffix = ".safetensors.index.json";
constexpr std::string_view kFileSuffix = ".safetensors";

Status open_safetensors_into(const std::string& path, Model* model) {
  LLMC_ASSIGN_OR_RETURN(std::unique_ptr<SafetensorsFile> file, SafetensorsFile::open(path));
  model->metadata = file->metadata();
  model->weight_files = {path};
  model->source = std::move(file);
  return Status::ok();
}

Status open_shards_into(const std::string& path, Model* model) {
  LLMC_ASSIGN_OR_RETURN(std::unique_ptr<ShardedSource> source, ShardedSource::open(path));
  model->metadata = source->metadata();
  model->weight_files = source->shard_paths();
  model->index_file = path;
  model->source = std::move(source);
  return Status::ok();
}

Status open_gguf_into(const std::string& path, Model* model) {
  LLMC_ASSIGN_OR_RETURN(std::unique_ptr<GgufFile> file, GgufFile::open(path));
  model->gguf = &file->header();
  model->weight_files = {path};
  model->source = std::move(file);
  return Status::ok();
}

// Files at any depth, relative to `folder`, sorted; the folders of tools (.git, .cache) and this program's own files
// left out. Links to
// files are followed (a Hugging Face cache is made of them), links to folders are not.
Result<std::vector<std::string>> list_folder(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code code;
  const auto failed = [&] {
    return error(ErrorKind::kIo, "cannot list the folder: {}", code.message()).in_file(folder);
  };
  fs::recursive_directory_iterator entry(folder, code);
  if (code) return failed();
  for (; entry != fs::recursive_directory_iterator(); entry.increment(code)) {
    if (code) return failed();
    const std::string name = entry->path().filename().string();
    std::error_code kind_code;  // a dangling link is neither folder nor file
    const bool own = name.starts_with(kOwnFilePrefix);
    if (entry->is_directory(kind_code)) {
      if (name == ".git" || name == ".cache" || own) entry.disable_recursion_pending();
      continue;
    }
    if (entry->is_regular_file(kind_code) && !own)
      files.push_back(entry->path().lexically_relative(folder).generic_string());
  }
  if (code) return failed();
  std::sort(files.begin(), files.end());
  return files;
}

bool in_top_folder(const std::string& relative) {
  return relative.find('/') == std::string::npos;
}

// The file to open in a folder: the standard index, the standard file, or the only index or file
// under another name (adapters, diffusion models). The index goes first: beside shards it is what
// makes them a model.
Result<std::string> find_weights(const std::string& folder, const std::vector<std::string>& files) {
  for (const char* name : {kIndexFileName, kSingleFileName}) {
    if (std::find(files.begin(), files.end(), name) != files.end()) return std::string(name);
  }
  for (const std::string_view suffix : {kIndexSuffix, kFileSuffix}) {
    std::vector<std::string> matching;
    for (const std::string& file : files) {
      if (in_top_folder(file) && file.ends_with(suffix)) matching.push_back(file);
    }
    if (matching.size() == 1) return matching[0];
    if (matching.size() > 1)
      return error(ErrorKind::kInvalidArgument,
                   "several sets of weights ({}, {}, ...) and neither {} nor {}; give one", matching[0],
                   matching[1], kIndexFileName, kSingleFileName)
          .in_file(folder);
  }
  return error(ErrorKind::kInvalidArgument, "no weights in this folder; looked for {}, {}, *{} and *{}",
               kIndexFileName, kSingleFileName, kIndexSuffix, kFileSuffix)
      .in_file(folder);
}

Status open_folder_into(const std::string& folder, Model* model) {
  LLMC_RETURN_IF_ERROR(check_folder_is_whole(folder));
  LLMC_ASSIGN_OR_RETURN(const std::vector<std::string> files, list_folder(folder));
  LLMC_ASSIGN_OR_RETURN(const std::string weights, find_weights(folder, files));
  const std::string path = (fs::path(folder) / weights).string();
  const bool sharded = weights.ends_with(kIndexSuffix);
  LLMC_RETURN_IF_ERROR(sharded ? open_shards_into(path, model) : open_safetensors_into(path, model));

  std::set<std::string> used = {weights};
  for (const std::string& file : model->weight_files) used.insert(fs::path(file).filename().string());
  for (const std::string& file : files) {
    if (used.contains(file)) continue;
    (is_other_weight_format(file) ? model->skipped_files : model->other_files).push_back(file);
  }
  return Status::ok();
}

enum class Content { kGguf, kPickle, kOther };

// By the first bytes; a pickle may be bare or in a zip archive.
Result<Content> sniff(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(const std::string start, read_prefix(path, 4));
  const auto starts = [&](std::string_view magic) { return start.starts_with(magic); };
  if (starts("GGUF")) return Content::kGguf;
  if (starts("PK\x03\x04") || (starts("\x80") && path.ends_with(".pt")) ||
      (starts("\x80") && path.ends_with(".pth")))
    return Content::kPickle;
  return Content::kOther;
}

Status open_file_into(const std::string& path, Model* model) {
  if (path.ends_with(kIndexSuffix)) {
    model->kind = ModelKind::kShardedSafetensors;
    return open_shards_into(path, model);
  }
  LLMC_ASSIGN_OR_RETURN(const Content content, sniff(path));
  if (content == Content::kGguf || path.ends_with(".gguf")) {
    model->kind = ModelKind::kGguf;
    return open_gguf_into(path, model);
  }
  if (content == Content::kPickle)
    return error(ErrorKind::kUnsupported, "a PyTorch pickle; convert it to safetensors first").in_file(path);
  model->kind = ModelKind::kSafetensors;
  Status status = open_safetensors_into(path, model);
  if (status.is_ok() || path.ends_with(kFileSuffix)) return status;
  return error(ErrorKind::kUnsupported, "neither GGUF nor safetensors ({})", status.error().message)
      .in_file(path);
}

}  // namespace

const char* model_kind_name(ModelKind kind) {
  switch (kind) {
    case ModelKind::kSafetensors:
      return "safetensors";
    case ModelKind::kShardedSafetensors:
      return "sharded";
    case ModelKind::kFolder:
      return "folder";
    case ModelKind::kGguf:
      return "gguf";
  }
  return "unknown";
}

std::vector<std::string> Model::all_files() const {
  std::vector<std::string> files = weight_files;
  if (!index_file.empty()) files.push_back(index_file);
  for (const auto& names : {other_files, skipped_files}) {
    for (const std::string& name : names) files.push_back((fs::path(path) / name).string());
  }
  return files;
}

Result<Model> open_model(const std::string& path) {
  Model model;
  model.path = path;
  std::error_code code;
  if (fs::is_directory(path, code)) {
    model.kind = ModelKind::kFolder;
    LLMC_RETURN_IF_ERROR(open_folder_into(path, &model));
  } else {
    LLMC_RETURN_IF_ERROR(open_file_into(path, &model));
  }
  return model;
}

}  // namespace llmcodec
