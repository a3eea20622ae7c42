// SPDX-License-Identifier: BSD-3-Clause
// Names of the files that an archive lists as carried along (docs/format.md, section 4). They come from a
// stranger, and files are written under them: only a plain name inside the folder will do.
#pragma once

#include <string>
#include <vector>

#include "llmcodec/status.h"
#include "tensor/model_folder.h"

namespace llmcodec {

// InvalidArgument, saying why, for a name that could lead out of its folder or that another system reads
// otherwise (an absolute path, "..", a control character, a backslash, what is no UTF-8), and for the names of
// weights (those of an archive, and those that begin with `stem`) and of this program's own files, which a carried file
// would replace.
Status check_carried_name(const std::string& name, const std::string& stem = kModelStem);

// What the names of the restored weights begin with, by the names that the source's had: "adapter_model" of
// "adapter_model.safetensors". kModelStem where they have no stem in common that could be a file's name anywhere.
std::string stem_of_weights(const std::vector<std::string>& source_files);

}  // namespace llmcodec
