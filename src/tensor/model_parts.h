// SPDX-License-Identifier: BSD-3-Clause
// The parts of a model: one for most, with all of its weights in the folder itself; several for a pipeline of diffusers
// or sentence-transformers, each with its weights in a folder of its own. A pipeline is one list of tensors all the
// same, in which a name is the part's folder, a slash, and the name inside the part: "unet/conv_in.weight".
//
// Example (const std::string& name):
//
//   const PartFolders folders({"text_encoder", "unet"});
//   if (const std::optional<size_t> prefix = folders.prefix_bytes(name)) puts(name.c_str() + *prefix);
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llmcodec/status.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

// What the names of a model's weights begin with, unless its source had others ("adapter_model", "diffusion_pytorch_model").
inline constexpr char kModelStem[] = "model";

struct ModelPart {
  std::string folder;  // relative to the model's, with '/'; empty: the model's own
  std::string stem = kModelStem;
  std::map<std::string, std::string> metadata = {};  // of its safetensors file(s)
};
using ModelParts = std::vector<ModelPart>;  // sorted by folder

// What the names of restored weights begin with, by the names that the source's had: "adapter_model" of
// "adapter_model.safetensors". kModelStem where they have no stem in common that could be a file's name anywhere.
std::string stem_of_weights(const std::vector<std::string>& source_files);

// The parts of a pipeline, whose files have these names, relative to its folder; `metadata` is by folder.
ModelParts parts_of_files(const std::vector<std::string>& source_files,
                          const std::map<std::string, std::map<std::string, std::string>>& metadata);

// "unet/" of "unet", nothing of the model's own folder.
std::string part_prefix(const std::string& folder);

// What --keep or --carry take for everything in the folder of a part, quoted for a shell: "'^unet/'". Precondition: not
// the root, which no pattern tells from the other parts.
std::string pattern_of_part(const std::string& folder);

// InvalidArgument, saying why, for what cannot be the folder of a part: no plain name, too many levels, or a folder
// that has a name of weights or of something that is this program's own. Empty is one.
Status check_part_folder(const std::string& folder);

// Which part has a tensor, by its name: the one with the longest folder that the name begins with.
class PartFolders {
 public:
  PartFolders()
      : PartFolders(std::vector<std::string>{""}) {}  // of a model that is no pipeline: it has all names
  explicit PartFolders(std::vector<std::string> folders);
  // Bytes of the part's folder and the slash behind it; 0 for the model's own folder; nullopt when no part has the name.
  std::optional<size_t> prefix_bytes(std::string_view name) const;

 private:
  std::vector<std::string> folders_;  // sorted
};

// Where the tensors of one part stand among those of a model that lists them part after part.
struct PartRange {
  size_t first = 0, count = 0;
};
// Of every part of `parts`. Tensors that are not sorted by part(), or in none of `parts`, are left out at the end.
std::vector<PartRange> part_ranges(const std::vector<TensorInfo>& tensors, const ModelParts& parts);
// The tensors of one range by the names that they have inside the part.
std::vector<TensorInfo> local_tensors(const std::vector<TensorInfo>& tensors, const PartRange& range);

}  // namespace llmcodec
