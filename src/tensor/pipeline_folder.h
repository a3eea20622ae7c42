// SPDX-License-Identifier: BSD-3-Clause
// The folder of a pipeline: which of the folders in it hold a part, and what each of their files is for. A file in the
// root says that it is one, model_index.json (diffusers) or modules.json (sentence-transformers); parts are all folders
// below, and with sentence-transformers the root, that hold weights as loaders look for them.
//
// Example (const std::string& folder, const ModelFiles& files):
//
//   LLMC_ASSIGN_OR_RETURN(const PipelineFiles pipeline, find_pipeline(folder, files));
//   for (const PartWeights& part : pipeline.parts) use(part.folder, part.weights);
//   for (const std::string& name : files.all) use(name, is_left_out(name, pipeline));
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "llmcodec/status.h"
#include "tensor/model_files.h"

namespace llmcodec {

struct PartWeights {
  std::string folder;   // relative, empty: the root
  std::string weights;  // the file or the index in it that is to be opened
};

// A part that has its weights in a format that is not read, and must not go missing without a word.
struct UnreadPart {
  std::string folder;
  std::vector<std::string> files;  // with its weights, relative to the pipeline's folder
  Error why;
};

struct PipelineFiles {
  std::vector<PartWeights> parts;  // by folder; empty: the folder is no pipeline
  std::vector<UnreadPart> unread;
  bool diffusers = false;        // and not sentence-transformers
  bool root_is_no_part = false;  // of diffusers: weights in the root are the same ones once more
};

// No pipeline where nothing says so, and where all weights are in the root. Errors name the part: those of find_weights(),
// those of check_folder_is_whole() for every folder below, and Limit for more parts than pipelines have.
Result<PipelineFiles> find_pipeline(const std::string& folder, const ModelFiles& files);

// Whether a loader takes a file of this name, or the weights that an index of this name lists, for the weights of its
// folder: not "mine.safetensors".
bool has_loaders_name(std::string_view name);

// is_left_out() for each part as for a folder by itself.
bool is_left_out(const std::string& name, const PipelineFiles& pipeline);

// "part 'unet' of the pipeline: ..."
Error in_part(const std::string& folder, Error failure);

}  // namespace llmcodec
