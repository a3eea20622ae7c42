// SPDX-License-Identifier: BSD-3-Clause
// A folder that gets a new model: weights in one safetensors file or in shards with their index, and what stands
// beside them. The files appear together: there is no moment at which a stop of any kind leaves a model that can be
// read and is made of old files and new ones (docs/decisions/046-one-writer-and-one-swap.md). What the new model
// replaces goes: files of the same names, and weights of the names that this program gives. Everything else stays.
//
// Example (const std::string& path, const std::string& config, std::vector<TensorInfo> tensors):
//
//   LLMC_ASSIGN_OR_RETURN(ModelFolder folder, ModelFolder::open(path));
//   LLMC_RETURN_IF_ERROR(folder.write_text("config.json", config));
//   LLMC_ASSIGN_OR_RETURN(AtomicFile weights, folder.create("model.safetensors"));
//   LLMC_RETURN_IF_ERROR(folder.add(std::move(weights)));  // when all is written
//   LLMC_RETURN_IF_ERROR(folder.commit());
//
// A pipeline is one model with weights in several folders (model_parts.h): what is said of weights holds in each of them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/output_guard.h"
#include "llmcodec/status.h"
#include "tensor/model_parts.h"

namespace llmcodec {

inline constexpr char kIndexFileName[] = "model.safetensors.index.json";
inline constexpr char kSingleFileName[] = "model.safetensors";
// Of everything in a folder that is this program's own and no part of a model.
inline constexpr char kOwnFilePrefix[] = ".llmcodec-";

// Whether a file of a folder (`relative` to it) holds the same weights once more, in a format that is not read here.
// Only names that converters and trainers give by convention: anything else might be wanted.
bool is_other_weight_format(const std::string& relative);

std::string single_file_name(const std::string& stem);  // "model.safetensors"
// "model.safetensors.index.json"; of a variant, "model.fp16", as its loaders look for it: "model.safetensors.index.fp16.json".
std::string index_file_name(const std::string& stem);

// Whether a file of a folder has a name that this program gives to weights: of one file, of a shard, of the index.
bool is_own_weights(const std::string& name, const std::string& stem = kModelStem);

// The files in the root that say that a folder is a pipeline: of diffusers, and of sentence-transformers.
inline constexpr char kDiffusersMark[] = "model_index.json";
inline constexpr char kSentenceTransformersMark[] = "modules.json";

// In a folder of which a run was stopped while it replaced the model: what it had replaced by then.
inline constexpr char kStoppedSwapFolder[] = ".llmcodec-replaced";

// Corrupt while a stopped run has not been made good: old and new files may stand side by side.
Status check_folder_is_whole(const std::string& folder);

// Whether files can get these names, relative to `folder`: InvalidArgument where a file stands in the place of a folder on
// the way, Unsupported where a link does. To be asked before long work; commit() asks again, before it moves anything.
Status check_ways(const std::string& folder, const std::vector<std::string>& names);

// InvalidArgument when the folder holds a file that says that it is a pipeline, and the new model, whose files other than
// weights are `names`, has none of that name: loaders would take it for the pipeline that was there before. Of a model that
// comes without its other files, `names` are those that belong to it all the same.
Status check_marks(const std::string& folder, const std::vector<std::string>& names);

// Folders that were not there before. Those that are empty in the end go again: a command that failed leaves none.
class MadeFolders {
 public:
  MadeFolders() = default;
  MadeFolders(MadeFolders&&) = default;
  MadeFolders& operator=(MadeFolders&&) = delete;
  ~MadeFolders();
  Status make(const std::filesystem::path& folder);  // and those above it

 private:
  std::vector<std::filesystem::path> made_;  // each after those above it
};

// What the new model will have, and may replace.
struct FilesOfModel {
  ModelParts parts = {ModelPart{}};      // the folders and names of its weights
  std::vector<std::string> others = {};  // its other files, relative to its folder
};

class ModelFolder {
 public:
  // Makes the folder, and in it those of the parts, where there are none, has the right to write in all of these (OutputLock)
  // from here on, and makes good what a killed run left in them: a swap that was not completed is taken back.
  // InvalidArgument when a folder holds weights of other names, which would be taken for a part of the model or in its
  // place, and Unsupported when the folder of a part is reached through a link.
  static Result<ModelFolder> open(const std::string& path, FilesOfModel files = {});
  // A folder of the user's that gets the parts of a GGUF model and may hold anything besides, other weights too: only
  // files of the same names are replaced. The folder must be there. Otherwise as open().
  static Result<ModelFolder> open_shared(const std::string& path);
  ModelFolder(ModelFolder&&) = default;
  ModelFolder& operator=(ModelFolder&&) = delete;
  ~ModelFolder();

  const std::string& path() const { return path_; }
  const OutputLock& lock() const { return lock_; }
  // The folder in which the files of create() are until commit().
  std::string staging() const;
  // A file of the new model, by its name relative to the folder.
  Result<AtomicFile> create(const std::string& name);
  // Takes a complete file: it is flushed to disk now, and gets its name with all others. Files may also come from
  // AtomicFile::create_resumable() and resume(), with paths in this folder.
  Status add(AtomicFile file);
  Status write_text(const std::string& name, const std::string& text);
  // The swap. After an error the folder is as it was, as far as the system lets it.
  Status commit();
  // Removes what interrupted runs left for AtomicFile::resume().
  void discard_partials();

 private:
  // `parts` is empty in a shared folder, where no weights are replaced for their names alone.
  ModelFolder(std::string path, ModelParts parts, MadeFolders made, OutputLock lock)
      : path_(std::move(path)), parts_(std::move(parts)), made_(std::move(made)), lock_(std::move(lock)) {}
  Status lock_parts();
  Status swap();
  Status publish_all();
  Status set_aside(const std::vector<std::string>& names);

  std::string path_;
  ModelParts parts_;
  MadeFolders made_;  // before the locks, whose files are gone when it goes
  OutputLock lock_;
  std::vector<OutputLock> locks_of_parts_;
  std::vector<AtomicFile> files_;
};

}  // namespace llmcodec
