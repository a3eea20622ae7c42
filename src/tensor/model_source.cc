// SPDX-License-Identifier: BSD-3-Clause
#include "tensor/model_source.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>

#include "base/byte_source.h"
#include "base/error.h"
#include "base/file.h"
#include "base/plain_name.h"
#include "tensor/archive_mark.h"
#include "tensor/file_kind.h"
#include "tensor/gguf_parts.h"
#include "tensor/model_files.h"
#include "tensor/pipeline_list.h"
#include "tensor/pipeline_source.h"
#include "tensor/shard_name.h"
#include "tensor/shards.h"

namespace llmcodec {
namespace {

namespace fs = std::filesystem;

Status open_safetensors_into(const std::string& path, Model* model) {
  LLMC_ASSIGN_OR_RETURN(std::unique_ptr<SafetensorsFile> file, SafetensorsFile::open(path));
  model->metadata = file->metadata();
  model->weight_files = {path};
  model->source = std::move(file);
  return Status::ok();
}

Status open_shards_into(const std::string& path, Model* model) {
  LLMC_ASSIGN_OR_RETURN(std::unique_ptr<ShardedSource> source,
                        ShardedSource::open(path, Overlap::kIndexDecides));
  model->metadata = source->metadata();
  model->weight_files = source->shard_paths();
  model->index_files = {path};
  model->source = std::move(source);
  return Status::ok();
}

Status open_gguf_into(const std::string& path, Model* model) {
  LLMC_ASSIGN_OR_RETURN(std::unique_ptr<GgufFile> file, GgufFile::open(path));
  if (!says_it_is_split(file->header())) {
    model->gguf = &file->header();
    model->weight_files = {path};
    model->source = std::move(file);
    return Status::ok();
  }
  LLMC_ASSIGN_OR_RETURN(std::unique_ptr<GgufParts> parts, GgufParts::open(std::move(file), path));
  if (parts->is_whole())
    model->notes.push_back(
        "the file says that it is one part of several, and has all tensors: it is taken as the whole model");
  model->gguf = &parts->header();
  model->weight_files = parts->paths();
  model->source = std::move(parts);
  return Status::ok();
}

// Links into nowhere matter where the file would have been used. (Those to folders are not followed.)
Status check_links(const std::string& folder, const ModelFiles& files,
                   const std::function<bool(const std::string&)>& left_out) {
  for (const std::string& name : files.dangling) {
    if (left_out(name)) continue;
    std::error_code code;
    const fs::path link = fs::path(folder) / name;
    return error(ErrorKind::kIo,
                 "is a link to {}, which is not there; get the file (an interrupted download goes on when it "
                 "is started again), or remove the link",
                 fs::read_symlink(link, code).string())
        .in_file(link.string());
  }
  return Status::ok();
}

Status open_weights_into(const std::string& path, Model* model) {
  return is_index_name(fs::path(path).filename().string()) ? open_shards_into(path, model)
                                                           : open_safetensors_into(path, model);
}

std::string relative_name(const std::string& path, const std::string& folder) {
  return fs::path(path).lexically_relative(folder).generic_string();
}

// What is no weights of the model goes along, or is left out.
Status sort_others(const ModelFiles& files, const std::function<bool(const std::string&)>& left_out,
                   Model* model) {
  std::set<std::string> used;
  for (const auto& paths : {model->weight_files, model->index_files}) {
    for (const std::string& path : paths) used.insert(relative_name(path, model->path));
  }
  for (const std::string& name : files.all) {
    if (used.contains(name)) continue;
    const bool skip = left_out(name);
    (skip ? model->skipped_files : model->other_files).push_back(name);
    if (!skip) LLMC_RETURN_IF_ERROR(check_no_lfs_pointer((fs::path(model->path) / name).string()));
  }
  return Status::ok();
}

// A part may be behind a link to a folder: without it, the pipeline would be another one.
Status check_no_folder_link(const std::string& folder, const ModelFiles& files) {
  const auto matters = [](const std::string& name) { return !is_in_foreign_folder(name + "/"); };
  const auto link = std::ranges::find_if(files.folder_links, matters);
  if (link == files.folder_links.end()) return Status::ok();
  return error(ErrorKind::kInvalidArgument,
               "is a link to a folder, and in a pipeline these are not followed; copy the pipeline with its "
               "links "
               "resolved (cp -rL), or remove the link")
      .in_file((fs::path(folder) / *link).string());
}

// An archive of this program where a part could be. It is missed where the file in the root lists its folder, or, where
// no list can be read, a loader would find it: a part that is not read, as a pickle is. In the root of diffusers it holds
// the parts once more, and anywhere else it is a file as any other.
Status take_archive_out(const PartWeights& part, const Model& archive, const std::string& root,
                        PipelineFiles* pipeline) {
  const bool diffusers = pipeline->diffusers;
  const std::set<std::string> listed = listed_parts(root);
  const bool missed = part.folder.empty() ? !diffusers
                      : listed.empty()    ? has_loaders_name(part.weights)
                                          : listed.contains(part.folder);
  if (part.folder.empty()) pipeline->root_is_no_part = diffusers;
  if (!missed) return Status::ok();
  Error why = in_part(
      part.folder, error(ErrorKind::kInvalidArgument, "is an llmcodec archive already; decompress it first")
                       .in_file((fs::path(root) / part.folder).string()));
  if (part.folder.empty()) return why;
  why.message += fmt::format("; or --carry {} takes it along as it is", pattern_of_part(part.folder));
  std::vector<std::string> files;
  for (const auto& paths : {archive.weight_files, archive.index_files}) {
    for (const std::string& path : paths) files.push_back(relative_name(path, root));
  }
  pipeline->unread.push_back({part.folder, std::move(files), std::move(why)});
  return Status::ok();
}

// Archives go from the pipeline's parts.
Status open_parts_into(PipelineFiles* pipeline, Model* model) {
  std::vector<PipelineSource::Part> sources;
  std::vector<PartWeights> parts;
  for (const PartWeights& part : pipeline->parts) {
    Model opened;
    const fs::path path = fs::path(model->path) / part.folder / part.weights;
    if (Status status = open_weights_into(path.string(), &opened); !status.is_ok())
      return in_part(part.folder, std::move(status).error());
    if (is_archive(opened.metadata)) {
      LLMC_RETURN_IF_ERROR(take_archive_out(part, opened, model->path, pipeline));
      continue;
    }
    parts.push_back(part);
    for (const std::string& file : opened.weight_files) model->weight_files.push_back(file);
    for (const std::string& file : opened.index_files) model->index_files.push_back(file);
    std::vector<std::string> names;
    for (const std::string& file : opened.weight_files) {
      names.push_back(fs::path(file).filename().string());
      if (!is_plain_name(names.back()))
        return error(ErrorKind::kInvalidArgument,
                     "the archive of a pipeline says where its weights were, and this is no plain name (no "
                     "backslash, no control characters, UTF-8); rename the file")
            .in_file(file);
    }
    model->parts.push_back({part.folder, stem_of_weights(names), std::move(opened.metadata)});
    sources.push_back({part.folder, std::move(opened.source)});
  }
  if (parts.empty())
    return pipeline->unread.empty()
               ? error(ErrorKind::kInvalidArgument, "is an llmcodec archive already; decompress it first")
                     .in_file(model->path)
               : Error(pipeline->unread[0].why);
  pipeline->parts = std::move(parts);
  auto joined = PipelineSource::join(std::move(sources));
  if (!joined.is_ok()) {
    Error failure = std::move(joined).error();
    return failure.file.empty() ? std::move(failure).in_file(model->path) : failure;
  }
  model->source = std::move(*joined);
  return Status::ok();
}

Status open_pipeline_into(const ModelFiles& files, PipelineFiles pipeline, Model* model) {
  const auto left_out = [&](const std::string& name) { return is_left_out(name, pipeline); };
  model->kind = ModelKind::kPipeline;
  LLMC_RETURN_IF_ERROR(check_links(model->path, files, left_out));
  LLMC_RETURN_IF_ERROR(check_no_folder_link(model->path, files));
  LLMC_RETURN_IF_ERROR(open_parts_into(&pipeline, model));
  model->unread_parts = pipeline.unread;
  return sort_others(files, left_out, model);
}

Status open_folder_into(const std::string& folder, Model* model) {
  LLMC_RETURN_IF_ERROR(check_folder_is_whole(folder));
  LLMC_ASSIGN_OR_RETURN(const ModelFiles files, list_model_files(folder));
  for (const std::string& name : files.special)
    model->notes.push_back("left out: " + name + ", which is no regular file (a pipe, a socket or a device)");
  LLMC_ASSIGN_OR_RETURN(PipelineFiles pipeline, find_pipeline(folder, files));
  if (!pipeline.parts.empty()) return open_pipeline_into(files, std::move(pipeline), model);
  LLMC_ASSIGN_OR_RETURN(const std::string weights, find_weights(folder, files));
  const auto left_out = [&](const std::string& name) { return is_left_out(name, weights); };
  LLMC_RETURN_IF_ERROR(check_links(folder, files, left_out));
  for (const std::string& name : files.folder_links)
    model->notes.push_back("not followed: " + name + ", a link to a folder");
  LLMC_RETURN_IF_ERROR(open_weights_into((fs::path(folder) / weights).string(), model));
  return sort_others(files, left_out, model);
}

// What is no name of a file: a mistake that the system's own message does not explain.
Status check_can_be_read(const std::string& path) {
  if (path.find("://") != std::string::npos)
    return error(ErrorKind::kInvalidArgument,
                 "is an address; get the model first (hf download OWNER/MODEL --local-dir FOLDER, or curl "
                 "-LO), then give the file or "
                 "the folder")
        .in_file(path);
  std::error_code code;
  const fs::file_status status = fs::status(path, code);
  if (path == "-" || fs::is_fifo(status) || fs::is_character_file(status))
    return error(ErrorKind::kInvalidArgument,
                 "models are read from several places at once, which standard input and pipes do not allow; "
                 "save it to a file first")
        .in_file(path);
  // A dangling link, a name that is too long, a folder that may not be entered: opening says why.
  const bool absent =
      status.type() == fs::file_type::not_found && !fs::is_symlink(fs::symlink_status(path, code));
  if (!absent) return Status::ok();
  const bool hub_name = std::ranges::count(path, '/') == 1 && !path.starts_with('/') &&
                        !path.starts_with('.') && !fs::exists(fs::path(path).parent_path(), code);
  if (hub_name)
    return error(ErrorKind::kIo,
                 "no such file or folder; if it is a model of the hub, get it first: hf download {} "
                 "--local-dir FOLDER",
                 path)
        .in_file(path);
  return error(ErrorKind::kIo, "no such file or folder").in_file(path);
}

// One shard is a model to everything here, and a part of one to its user.
void note_single_shard(const std::string& path, Model* model) {
  const auto shard = parse_shard_name(fs::path(path).filename().string(), kFileSuffix);
  if (!shard || shard->count < 2) return;
  model->notes.push_back(
      fmt::format("this is shard {} of {} alone; give the index or the folder for the whole model",
                  shard->number, shard->count));
}

Status open_file_into(const std::string& path, Model* model) {
  LLMC_RETURN_IF_ERROR(check_can_be_read(path));
  if (is_index_name(fs::path(path).filename().string())) {
    model->kind = ModelKind::kShardedSafetensors;
    return open_shards_into(path, model);
  }
  LLMC_ASSIGN_OR_RETURN(const std::string start, read_prefix(path, 4));
  if (start == "GGUF" || path.ends_with(".gguf")) {
    model->kind = ModelKind::kGguf;
    return open_gguf_into(path, model);
  }
  model->kind = ModelKind::kSafetensors;
  note_single_shard(path, model);
  Status status = open_safetensors_into(path, model);
  if (status.is_ok() || path.ends_with(kFileSuffix)) return status;
  LLMC_ASSIGN_OR_RETURN(const ByteSourcePtr file, open_byte_source(path));
  if (known_other_kind(*file)) return status;
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
    case ModelKind::kPipeline:
      return "pipeline";
  }
  return "unknown";
}

std::vector<std::string> Model::all_files() const {
  std::vector<std::string> files = weight_files;
  files.insert(files.end(), index_files.begin(), index_files.end());
  for (const auto& names : {other_files, skipped_files}) {
    for (const std::string& name : names) files.push_back((fs::path(path) / name).string());
  }
  return files;
}

std::vector<std::string> Model::weight_names() const {
  std::vector<std::string> names;
  for (const std::string& file : weight_files)
    names.push_back(kind == ModelKind::kPipeline ? relative_name(file, path)
                                                 : fs::path(file).filename().string());
  return names;
}

Model part_of_pipeline(const Model& pipeline, const ModelPart& part) {
  Model model;
  model.kind = ModelKind::kFolder;
  model.path = (fs::path(pipeline.path) / part.folder).string();
  model.metadata = part.metadata;
  model.source = std::make_unique<PartView>(*pipeline.source, part.folder);
  return model;
}

Result<Model> open_model(const std::string& path) {
  Model model;
  std::error_code code;
  LLMC_ASSIGN_OR_RETURN(model.path, resolve_hub_folder(path));
  if (fs::is_directory(path, code)) {
    model.kind = ModelKind::kFolder;
    LLMC_RETURN_IF_ERROR(open_folder_into(model.path, &model));
  } else {
    LLMC_RETURN_IF_ERROR(open_file_into(path, &model));
  }
  return model;
}

}  // namespace llmcodec
