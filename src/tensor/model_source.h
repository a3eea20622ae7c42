// SPDX-License-Identifier: BSD-3-Clause
// One door for every kind of model on disk. Recognised by content: a GGUF file, a safetensors file, a
// *.safetensors.index.json, or a folder (Hugging Face: weights and whatever stands beside them; a pipeline of several
// models in folders of their own).
//
// Example (const std::string& path):
//
//   LLMC_ASSIGN_OR_RETURN(const Model model, open_model(path));
//   for (const TensorInfo& tensor : model.source->tensors()) use(tensor.name, tensor.shape);
//
// Opening reads headers only; tensors are read when they are asked for.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "llmcodec/status.h"
#include "tensor/gguf.h"
#include "tensor/model_parts.h"
#include "tensor/pipeline_folder.h"
#include "tensor/safetensors.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

enum class ModelKind {
  kSafetensors,         // one file, given as such
  kShardedSafetensors,  // an index, given as such
  kFolder,              // Hugging Face folder, weights in one file or in shards
  kGguf,
  kPipeline,  // folder whose weights are in folders of their own (pipeline_folder.h)
};
const char* model_kind_name(ModelKind kind);  // "safetensors", "sharded", "folder", "gguf", "pipeline"
// Whether the model was given as a folder, whose other files belong to it.
constexpr bool is_folder_kind(ModelKind kind) {
  return kind == ModelKind::kFolder || kind == ModelKind::kPipeline;
}

struct Model {
  ModelKind kind = ModelKind::kSafetensors;
  std::string path;  // as given to open_model(); the snapshot for a folder of Hugging Face's cache
  std::unique_ptr<TensorSource> source;
  std::vector<std::string> weight_files;  // paths of the files that hold the tensors, in tensor order
  std::vector<std::string> index_files;   // of shards
  SafetensorsMetadata metadata;           // of the safetensors file(s); {"format": "pt"} matters to loaders
  ModelParts parts;                       // of a pipeline, with metadata of their own; empty otherwise
  const GgufHeader* gguf = nullptr;       // of a GGUF file; owned by source

  // Of a folder: what must be carried over, sorted paths relative to `path`, subfolders included; and what
  // is left out unless it is asked for (is_left_out()): the same weights in another format, the state of a training
  // run. Version-control and cache folders (.git, .cache) and this program's own files are in neither.
  std::vector<std::string> other_files;
  std::vector<std::string> skipped_files;
  // Texts that take the place of files of other_files, by their names: a config that changed with the tensors.
  std::map<std::string, std::string> rewritten_files;
  // JSON files that say how a quantised source was quantised, as they were, by name; empty where nothing can be written
  // back in that way. They travel within config.json.
  std::map<std::string, std::string> source_configs;

  // Of a pipeline: parts in formats that are not read. Their weights are in skipped_files until they are asked for.
  std::vector<UnreadPart> unread_parts;

  std::vector<std::string> notes;  // what the user should know of these files

  // Paths of all the files above: what an output must not replace.
  std::vector<std::string> all_files() const;
  // The weight files by the names that they have in the model's folder, or beside each other.
  std::vector<std::string> weight_names() const;
};

// Errors: Io (absent, unreadable, missing shard, a link that leads nowhere, a pointer of Git LFS), Corrupt, Limit,
// Unsupported (a pickle; an unknown kind of file), and InvalidArgument for what is no file (an address, a pipe), for a
// later part of a split GGUF, and for a folder without weights, which says what is there instead.
Result<Model> open_model(const std::string& path);

// One of the parts of a pipeline as a folder by itself: its tensors, by the names inside the part, and where it is. The
// pipeline must live as long.
Model part_of_pipeline(const Model& pipeline, const ModelPart& part);

}  // namespace llmcodec
