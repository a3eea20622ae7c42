// SPDX-License-Identifier: BSD-3-Clause
// The files of a folder that holds a model, sorted into what they are for: the weights, what belongs to them, and what
// does not (the same weights in other formats, the state of a training run).
//
// Example (const std::string& folder):
//
//   LLMC_ASSIGN_OR_RETURN(const ModelFiles files, list_model_files(folder));
//   LLMC_ASSIGN_OR_RETURN(const std::string weights, find_weights(folder, files));
//   for (const std::string& name : files.all) use(name, is_left_out(name, weights));
#pragma once

#include <string>
#include <vector>

#include "llmcodec/status.h"

namespace llmcodec {

// All names are relative to the folder, with '/', and sorted.
struct ModelFiles {
  std::vector<std::string> all;  // files at any depth; folders of tools (.git, .cache) and our own left out
  std::vector<std::string> dangling;      // links whose target is not there
  std::vector<std::string> folder_links;  // links to folders, which are not followed; none of .git and .cache
  std::vector<std::string> special = {};  // what is neither file nor folder: pipes, sockets, devices
  std::vector<std::string> stopped = {};  // folders in which a run was stopped while it replaced a model
};

// Io when the folder cannot be listed.
Result<ModelFiles> list_model_files(const std::string& folder);

// The file or the index to be opened. InvalidArgument for a folder without weights that can be read, or with several
// sets of them; Unsupported where there are only formats that are not read. It says what is there (GGUF files, pickles,
// shards without their index, weights in folders below) and what to do.
Result<std::string> find_weights(const std::string& folder, const ModelFiles& files);

// Whether a file of the folder, other than the weights that were opened, is left out unless it is asked for: the same
// weights in another format or precision, adapters beside a model, the state of a training run. By the names that
// converters and trainers give by convention; anything else might be wanted.
bool is_left_out(const std::string& name, const std::string& weights);

// Whether a file is in a folder where tools put what is no part of the model as it is loaded: "onnx", "checkpoint-500".
bool is_in_foreign_folder(const std::string& name);

// Whether it holds weights that are carried along as they are: the dense layers of sentence-transformers, for one.
bool is_weights_below(const std::string& name);

// `path`, or the snapshot to be read when it is the folder of a model in Hugging Face's cache (models--OWNER--NAME): the
// one that refs/main names, or the only one. InvalidArgument, naming them, where there are several.
Result<std::string> resolve_hub_folder(const std::string& path);

}  // namespace llmcodec
