// SPDX-License-Identifier: BSD-3-Clause
// compress() for a model that is open already, in files or not.
#pragma once

#include "llmcodec/model.h"
#include "tensor/model_source.h"

namespace llmcodec {

// options.input is not opened. A model without weight files is described as a safetensors file without a source, and an
// interrupted run of it leaves nothing to go on with.
Result<CompressReport> compress(Model model, const CompressOptions& options);

}  // namespace llmcodec
