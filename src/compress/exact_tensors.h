// SPDX-License-Identifier: BSD-3-Clause
// Tensors that are stored exactly.
#pragma once

#include "archive/archive_writer.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

// Copies tensor `index` to the archive, unless an interrupted run has done so: under its own name, or as the
// part `data` when safetensors has no name for its dtype.
Status write_exact_tensor(const TensorSource& source, size_t index, size_t shard, ArchiveWriter& writer);

}  // namespace llmcodec
