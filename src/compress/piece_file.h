// SPDX-License-Identifier: BSD-3-Clause
// A piece: coded segments on their way from the machine that coded them to the one that writes the archive. A line with a
// checksum of all the rest, a line of JSON, then errors, streams and outliers.
//
// Example (std::vector<CodedPictures> segments):
//
//   const std::vector<std::byte> bytes = piece_to_bytes({"key", 7}, segments);
//   LLMC_ASSIGN_OR_RETURN(const std::vector<CodedPictures> same, piece_from_bytes({"key", 7}, 1, bytes));
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "coding/picture_coder.h"

namespace llmcodec {

// Of which order, and which of its pieces.
struct PieceId {
  std::string key;
  uint64_t number = 0;
};

std::vector<std::byte> piece_to_bytes(const PieceId& id, std::span<const CodedPictures> segments);
// Corrupt for what was cut or changed, is another piece or of another order, or has not `segments` segments.
Result<std::vector<CodedPictures>> piece_from_bytes(const PieceId& id, uint64_t segments,
                                                    std::span<const std::byte> bytes);

}  // namespace llmcodec
