// SPDX-License-Identifier: BSD-3-Clause
// Where the bytes of a tensor lie in the files of an archive, for whoever fetches them from elsewhere, and whether they are those
// that were written.
//
// Example (const ArchiveReader& archive, const std::string& name):
//
//   LLMC_ASSIGN_OR_RETURN(const std::vector<StoredBytes> all, stored_bytes(archive, name, {0, UINT64_MAX}));
//   for (const StoredBytes& range : all) use(archive.files()[range.file], range.offset, range.bytes);
//   LLMC_RETURN_IF_ERROR(check_stored_bytes(archive, name));  // without decoding anything
#pragma once

#include <string>
#include <vector>

#include "archive/archive_reader.h"
#include "llmcodec/archive.h"

namespace llmcodec {

// Of the tensor that is stored under this name: what a decoder reads for these elements, in the order of the file. All of
// a coded tensor's parts but the bitstream belong to any of its elements.
struct ElementRange {
  uint64_t first = 0, last = 0;  // last: behind the end for all
};
Result<std::vector<StoredBytes>> stored_bytes(const ArchiveReader& archive, const std::string& stored_name,
                                              ElementRange elements);

// Corrupt when the bytes of the tensor, of any of its parts, fail their checksum.
Status check_stored_bytes(const ArchiveReader& archive, const std::string& stored_name);

}  // namespace llmcodec
