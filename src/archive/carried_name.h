// SPDX-License-Identifier: BSD-3-Clause
// Names of the files that an archive lists as carried along (docs/format.md, section 4). They come from a
// stranger, and files are written under them: only a plain name inside the folder will do.
#pragma once

#include <string>

#include "llmcodec/status.h"
#include "tensor/model_parts.h"

namespace llmcodec {

// InvalidArgument, saying why, for a name that could lead out of its folder or that another system reads
// otherwise (an absolute path, "..", a control character, a backslash, what is no UTF-8), and for the names of
// weights (those of an archive, and those that the parts of the model get) and of this program's own files, which a
// carried file would replace, and of a folder of a part.
Status check_carried_name(const std::string& name, const ModelParts& parts = {ModelPart{}});

}  // namespace llmcodec
