// SPDX-License-Identifier: BSD-3-Clause
// Names of the files that an archive lists as carried along (docs/format.md, section 4). They come from a
// stranger, and files are written under them: only a plain name inside the folder will do.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "llmcodec/status.h"
#include "tensor/model_parts.h"

namespace llmcodec {

// The names that files carried along with a model of these parts may have.
class CarriedNames {
 public:
  explicit CarriedNames(const ModelParts& parts = {ModelPart{}});
  // InvalidArgument, saying why, for a name that could lead out of its folder or that another system reads
  // otherwise (an absolute path, "..", a control character, a backslash, what is no UTF-8), and for the names of
  // weights (those of an archive, and those that the parts of the model get) and of this program's own files, which a
  // carried file would replace, and of a folder of a part. No folder on the way may have a name of weights or of this
  // program's own either. The cost does not grow with the parts.
  Status check(const std::string& name) const;

 private:
  bool is_weights_of_part(const std::string& folder, std::string_view base) const;
  bool is_taken(const std::string& name) const;

  std::unordered_map<std::string, std::vector<std::string>> stems_;  // of the weights in a folder
  std::unordered_set<std::string> folders_;                          // of the parts, and those above them
};

}  // namespace llmcodec
