// SPDX-License-Identifier: BSD-3-Clause
// What a description says of the parts of a pipeline (docs/format.md, sections 2 and 4), and whether it can be.
#pragma once

#include <nlohmann/json.hpp>

#include "archive/description.h"
#include "llmcodec/status.h"

namespace llmcodec {

// An object of texts. Corrupt, naming the field, for anything else.
Result<ArchiveMetadata> texts_from_json(const nlohmann::json& value, const char* field);

// The parts that `source` has, into a description whose kind, version and files are read. Corrupt or Limit where they
// cannot be those of a pipeline, and where something else has parts.
Status read_parts(const nlohmann::json& source, Description* description);

// Corrupt for a tensor that is in no part of a pipeline.
Status check_owners(const Description& description);

}  // namespace llmcodec
