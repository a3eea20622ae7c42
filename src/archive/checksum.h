// SPDX-License-Identifier: BSD-3-Clause
// XXH3-128 of byte sequences, in pieces or at once, as 32 lower-case hex
// digits (canonical, big-endian order).
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "base/byte_source.h"
#include "llmcodec/status.h"

namespace llmcodec {

class Checksum {
 public:
  Checksum();
  ~Checksum();
  Checksum(Checksum&&) noexcept;
  Checksum& operator=(Checksum&&) noexcept;
  void update(std::span<const std::byte> bytes);
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string xxh3_128(std::span<const std::byte> bytes);
// Of bytes [offset, offset + size), read in pieces.
Result<std::string> xxh3_128_of_range(const ByteSource& source, uint64_t offset, uint64_t size);
// Of a whole file.
Result<std::string> xxh3_128_of_file(const std::string& path);

}  // namespace llmcodec
