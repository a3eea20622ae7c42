// SPDX-License-Identifier: BSD-3-Clause
// Decodes coded tensors of an archive with several threads. What becomes of a block's weights is up to the
// caller, in two steps: work on the thread that decoded them, and what has to be done in order.
#pragma once

#include <functional>

#include "llmcodec/model.h"
#include "restore/tensor_decoder.h"

namespace llmcodec {

// Called for blocks one at a time, in the order of the tensors and their rows.
using BlockTaker = std::function<Status()>;
// Called by any thread, for blocks in any order: rows of the tensor of task `task`, starting at element `first` of it.
// The weights are gone when it returns.
using BlockWork =
    std::function<Result<BlockTaker>(size_t task, uint64_t first, std::span<const float> weights)>;

// A coded tensor, or the blocks that have some of its elements [first, last).
struct DecodeTask {
  std::string name;
  uint64_t first = 0, last = UINT64_MAX;
  // The checksum of the whole bitstream as well; those of samples are always looked at.
  bool verify = true;
};

// One after the other; a tensor may be in several tasks. Errors name file and tensor; Corrupt for a checksum. Of several errors the first in the
// order of blocks is returned.
Status decode_tensors(const ArchiveReader& archive, std::span<const DecodeTask> tasks, CodecSet& codecs,
                      const Control& control, const BlockWork& work);

}  // namespace llmcodec
