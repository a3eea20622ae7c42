// SPDX-License-Identifier: BSD-3-Clause
#include "archive/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/error.h"

namespace llmcodec {
namespace {

std::string to_hex(XXH128_hash_t hash) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, hash);
  std::string text;
  for (unsigned char digit : canonical.digest) text += fmt::format("{:02x}", digit);
  return text;
}

}  // namespace

struct Checksum::State {
  XXH3_state_t xxh;
};

Checksum::Checksum() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(&state_->xxh);
}
Checksum::~Checksum() = default;
Checksum::Checksum(Checksum&&) noexcept = default;
Checksum& Checksum::operator=(Checksum&&) noexcept = default;

void Checksum::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(&state_->xxh, bytes.data(), bytes.size());
}

std::string Checksum::hex() const {
  return to_hex(XXH3_128bits_digest(&state_->xxh));
}

std::string xxh3_128(std::span<const std::byte> bytes) {
  return to_hex(XXH3_128bits(bytes.data(), bytes.size()));
}

Result<std::string> xxh3_128_of_range(const ByteSource& source, uint64_t offset, uint64_t size) {
  Checksum checksum;
  const auto read = [&](uint64_t begin, std::span<std::byte> piece) {
    return source.read_at(offset + begin, piece);
  };
  LLMC_RETURN_IF_ERROR(visit_pieces(size, 1, read, [&](std::span<const std::byte> piece) {
    checksum.update(piece);
    return Status::ok();
  }));
  return checksum.hex();
}

Result<std::string> xxh3_128_of_file(const std::string& path) {
  LLMC_ASSIGN_OR_RETURN(const ByteSourcePtr file, open_byte_source(path));
  return xxh3_128_of_range(*file, 0, file->size());
}

}  // namespace llmcodec
