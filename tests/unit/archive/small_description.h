// SPDX-License-Identifier: BSD-3-Clause
// The least that an archive must say of its source.
#pragma once

#include "archive/description.h"

namespace llmcodec {

inline Description of_one_file() {
  Description description;
  description.source_kind = "safetensors";
  return description;
}

}  // namespace llmcodec
