// SPDX-License-Identifier: BSD-3-Clause
// Whether what a journal says of a tensor is what this plan would have written, and whether it is there.
//
// Example (const JournalEntry& entry, const PlannedTensor& planned, const ByteSource& partial):
//
//   LLMC_RETURN_IF_ERROR(check_entry(entry, planned, 0));  // the shard's first tensor
//   LLMC_RETURN_IF_ERROR(check_bytes(entry, 4096, partial));
#pragma once

#include <cstdint>

#include "archive/journal.h"
#include "base/byte_source.h"
#include "llmcodec/status.h"

namespace llmcodec {

// What the plan says of a tensor of the archive.
struct PlannedTensor {
  TensorInfo info;
  size_t shard = 0;
  bool has_parts = false;  // coded, or stored as bytes; else exactly, under its own name
};

// Corrupt, saying what differs. `begin`: where the data of the tensors before it in its shard end.
Status check_entry(const JournalEntry& entry, const PlannedTensor& planned, uint64_t begin);
// The bytes of a checked entry are in the partial file as they were written: Corrupt when they are others (a power
// cut may have lost what the journal names), Io when they cannot be read.
Status check_bytes(const JournalEntry& entry, uint64_t header_bytes, const ByteSource& partial);

}  // namespace llmcodec
