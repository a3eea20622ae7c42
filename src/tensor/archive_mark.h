// SPDX-License-Identifier: BSD-3-Clause
// How a safetensors file says that it is an archive of this program, and no model that can be compressed: in its
// `__metadata__` (docs/format.md, section 1).
#pragma once

#include "tensor/safetensors.h"

namespace llmcodec {

inline constexpr char kFormatKey[] = "format";  // with this value
inline constexpr char kFormatName[] = "llmcodec";

inline bool is_archive(const SafetensorsMetadata& metadata) {
  const auto format = metadata.find(kFormatKey);
  return format != metadata.end() && format->second == kFormatName;
}

}  // namespace llmcodec
