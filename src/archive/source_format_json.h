// SPDX-License-Identifier: BSD-3-Clause
// The entries of `quantised` in an archive's description (docs/format.md, 2.7).
#pragma once

#include <nlohmann/json.hpp>

#include "llmcodec/status.h"
#include "tensor/source_format.h"

namespace llmcodec {

nlohmann::json to_json(const SourceFormat& format);
// Corrupt for what is missing or of the wrong type, Unsupported for a scheme that is not of the closed list.
Result<SourceFormat> source_format_from_json(const nlohmann::json& value);

}  // namespace llmcodec
