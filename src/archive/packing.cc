// SPDX-License-Identifier: BSD-3-Clause
#include "archive/packing.h"

#include <zstd.h>

#include "base/checked_math.h"
#include "base/error.h"
#include "base/limits.h"

namespace llmcodec {

std::vector<std::byte> pack(std::span<const std::byte> content, int level) {
  std::vector<std::byte> packed(ZSTD_compressBound(content.size()));
  packed.resize(ZSTD_compress(packed.data(), packed.size(), content.data(), content.size(), level));
  return packed;
}

uint64_t stored_bytes(uint64_t packed_bytes, uint64_t content_bytes, uint64_t file_bytes) {
  uint64_t least = packed_bytes;
  if (content_bytes > max_unpacked_bytes(file_bytes + packed_bytes))
    least = ceil_div(content_bytes, kUnpackedBytesPerFileByte) - file_bytes;
  return align_up(least, 8);
}

Result<std::vector<std::byte>> unpack(std::span<const std::byte> packed, uint64_t max_bytes) {
  const size_t frame = ZSTD_findFrameCompressedSize(packed.data(), packed.size());
  if (ZSTD_isError(frame)) return error(ErrorKind::kCorrupt, "is no zstd frame");
  const unsigned long long size = ZSTD_getFrameContentSize(packed.data(), frame);
  if (size == ZSTD_CONTENTSIZE_ERROR || size == ZSTD_CONTENTSIZE_UNKNOWN)
    return error(ErrorKind::kCorrupt, "zstd frame does not state its size");
  if (size > max_bytes)
    return error(ErrorKind::kLimit, "unpacks to {} bytes, at most {} are possible", size, max_bytes);
  std::vector<std::byte> content(size);
  if (ZSTD_decompress(content.data(), content.size(), packed.data(), frame) != size)
    return error(ErrorKind::kCorrupt, "cannot be unpacked");
  return content;
}

}  // namespace llmcodec
