// SPDX-License-Identifier: BSD-3-Clause
// Bytes that are read by position: a file, a piece of memory, or whatever a caller's function reads. Nothing is
// mapped: what is read was copied into the reader's buffer, so a file that shrinks or a disk that goes away is an
// error with its place, in a program and in a library alike, and memory is what the readers hold.
//
// Example (const std::string& path):
//
//   LLMC_ASSIGN_OR_RETURN(const ByteSourcePtr file, open_byte_source(path));
//   std::vector<std::byte> length(8);
//   LLMC_RETURN_IF_ERROR(file->read_at(0, length));
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "llmcodec/status.h"

namespace llmcodec {

// Every number of a file comes through here and is used as it stands.
static_assert(std::endian::native == std::endian::little,
              "files are little-endian, and so must be the machine");

// Thread-safe.
class ByteSource {
 public:
  virtual ~ByteSource() = default;

  uint64_t size() const { return size_; }
  const std::string& name() const { return name_; }  // of the file, for errors
  // Fills `out` with the bytes from `offset` on. Corrupt where the source ends before them; Io, with file and
  // offset, where they cannot be read, or no longer since the file became shorter.
  Status read_at(uint64_t offset, std::span<std::byte> out) const;
  // Corrupt when [offset, offset + size) is not inside the source: to be asked before memory is taken for a size that
  // a file claims.
  Status check_range(uint64_t offset, uint64_t size) const;

 protected:
  ByteSource(uint64_t size, std::string name) : size_(size), name_(std::move(name)) {}

 private:
  // As read_at(), for ranges inside the source.
  virtual Status read_range(uint64_t offset, std::span<std::byte> out) const = 0;
  uint64_t size_;
  std::string name_;
};
using ByteSourcePtr = std::shared_ptr<const ByteSource>;

// A regular file, kept open, or what stands for it (stand_in.h). Io for anything else (a pipe too, at once, without waiting for its writer).
Result<ByteSourcePtr> open_byte_source(const std::string& path);
// Memory of the caller's, which must live as long as the source.
ByteSourcePtr memory_byte_source(std::span<const std::byte> bytes, std::string name);
// Fills `out` with bytes from `offset` on; called for ranges inside [0, size), from any thread.
using ReadFunction = std::function<Status(uint64_t offset, std::span<std::byte> out)>;
ByteSourcePtr function_byte_source(uint64_t size, std::string name, ReadFunction read);

Result<std::vector<std::byte>> read_range(const ByteSource& source, uint64_t offset, uint64_t size);

// What caches hold.
inline constexpr uint64_t kPieceBytes = 1 << 20;
using PieceVisitor = std::function<Status(std::span<const std::byte> piece)>;
// Reads [0, size) in pieces of up to kPieceBytes, all but the last multiples of `unit` bytes: blocks that can be
// converted alone. A piece is gone when `visit` returns.
Status visit_pieces(uint64_t size, uint64_t unit, const ReadFunction& read, const PieceVisitor& visit);

}  // namespace llmcodec
