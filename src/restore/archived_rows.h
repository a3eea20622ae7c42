// SPDX-License-Identifier: BSD-3-Clause
// Some rows of one tensor of an archive, without the rest of it.
#pragma once

#include <string>

#include "archive/archive_reader.h"
#include "coding/codec_set.h"
#include "llmcodec/read_tensor.h"
#include "tensor/tensor_source.h"

namespace llmcodec {

// What an archive says of a tensor, coded or not: name, its own dtype and shape. InvalidArgument for a name
// that the archive has not.
Result<TensorInfo> archived_tensor(const ArchiveReader& archive, const std::string& name);

// False for a tensor stored exactly, and for a name that the archive has not.
bool is_coded(const ArchiveReader& archive, const std::string& name);

// As read_rows().
Result<TensorValues> read_archived_rows(const ArchiveReader& archive, CodecSet& codecs,
                                        const std::string& name, RowRange rows);

}  // namespace llmcodec
