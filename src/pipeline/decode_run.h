// SPDX-License-Identifier: BSD-3-Clause
// Decodes coded tensors of an archive with several threads, blocks taken over in order, samples checked
// against their checksum.
#pragma once

#include <functional>

#include "llmcodec/model.h"
#include "pipeline/tensor_decoder.h"

namespace llmcodec {

// What is taken over: rows of tensor `name`, starting at element `first` of it.
using BlockTaker =
    std::function<Status(const TensorDecoder& tensor, uint64_t first, std::span<const float> weights)>;

// All `names` one after the other. Errors name file and tensor; Corrupt for a checksum.
Status decode_tensors(const ArchiveReader& archive, const std::vector<std::string>& names, CodecSet& codecs,
                      const Control& control, const BlockTaker& take);

}  // namespace llmcodec
