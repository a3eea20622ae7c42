// SPDX-License-Identifier: BSD-3-Clause
// Schemes of which no weight is computed here, told by the names of their tensors alone: a checkpoint may come without its
// config.json, and codebooks and scales that are floats would be coded as weights otherwise.
#pragma once

#include "scheme/claims.h"

namespace llmcodec {

// Unsupported, naming the scheme and the first of its tensors.
Status check_no_foreign_scheme(const StoredNames& names);

// The program or scheme whose tensors are called so, for a refusal: "GPTQ or AWQ"; empty where the name says nothing.
std::string family_of(const TensorInfo& codes);

}  // namespace llmcodec
