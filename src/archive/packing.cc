// SPDX-License-Identifier: BSD-3-Clause
#include "archive/packing.h"

#include <zstd.h>

#include "base/error.h"

namespace llmcodec {
namespace {

constexpr int kLevel = 19;

}  // namespace

std::vector<std::byte> pack(std::span<const std::byte> content) {
  std::vector<std::byte> packed(ZSTD_compressBound(content.size()));
  packed.resize(ZSTD_compress(packed.data(), packed.size(), content.data(), content.size(), kLevel));
  return packed;
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
