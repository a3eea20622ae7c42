// SPDX-License-Identifier: BSD-3-Clause
// What a file is that was taken for weights and cannot be read as such, by its first bytes: a pointer of Git LFS, a web
// page, a pickle, ... For the readers of weights, whose own message ("header of 2336927755350992246 bytes") helps
// nobody with those.
#pragma once

#include <optional>

#include "base/byte_source.h"
#include "llmcodec/status.h"

namespace llmcodec {

// Says what the file is and what to do about it: Io where the file itself is elsewhere (a pointer, a page),
// Unsupported for other formats. nullopt where the first bytes tell nothing.
std::optional<Error> known_other_kind(const ByteSource& file);

// Io for a pointer of Git LFS that stands where a file should be. Only small files are looked into.
Status check_no_lfs_pointer(const std::string& path);

}  // namespace llmcodec
