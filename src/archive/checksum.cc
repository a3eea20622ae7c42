// SPDX-License-Identifier: BSD-3-Clause
#include "archive/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

#include "base/file.h"

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

Result<std::string> xxh3_128_of_file(const std::string& path) {
  constexpr uint64_t kPiece = 16ull << 20;
  LLMC_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  Checksum checksum;
  const std::span<const std::byte> bytes = file.bytes();
  for (uint64_t begin = 0; begin < bytes.size(); begin += kPiece) {
    const uint64_t size = std::min<uint64_t>(kPiece, bytes.size() - begin);
    checksum.update(bytes.subspan(begin, size));
    file.release(begin, size);
  }
  return checksum.hex();
}

}  // namespace llmcodec
