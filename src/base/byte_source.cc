// SPDX-License-Identifier: BSD-3-Clause
#include "base/byte_source.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/descriptor.h"
#include "base/error.h"
#include "base/file.h"
#include "base/stand_in.h"

namespace llmcodec {
namespace {

class FileSource final : public ByteSource {
 public:
  FileSource(Descriptor descriptor, uint64_t size, std::string path)
      : ByteSource(size, std::move(path)), descriptor_(std::move(descriptor)) {}

 private:
  Status read_range(uint64_t offset, std::span<std::byte> out) const override {
    while (!out.empty()) {
      const ssize_t n = uninterrupted(
          [&] { return ::pread(descriptor_.get(), out.data(), out.size(), static_cast<off_t>(offset)); });
      if (n < 0) return errno_error("cannot read").in_file(name()).at_offset(offset);
      if (n == 0)
        return error(ErrorKind::kIo, "the file became shorter while it was read")
            .in_file(name())
            .at_offset(offset);
      offset += static_cast<uint64_t>(n);
      out = out.subspan(static_cast<size_t>(n));
    }
    return Status::ok();
  }
  Descriptor descriptor_;
};

class MemorySource final : public ByteSource {
 public:
  MemorySource(std::span<const std::byte> bytes, std::string name)
      : ByteSource(bytes.size(), std::move(name)), bytes_(bytes) {}

 private:
  Status read_range(uint64_t offset, std::span<std::byte> out) const override {
    std::ranges::copy(bytes_.subspan(offset, out.size()), out.begin());
    return Status::ok();
  }
  std::span<const std::byte> bytes_;
};

class FunctionSource final : public ByteSource {
 public:
  FunctionSource(uint64_t size, std::string name, ReadFunction read)
      : ByteSource(size, std::move(name)), read_(std::move(read)) {}

 private:
  Status read_range(uint64_t offset, std::span<std::byte> out) const override {
    Status status = read_(offset, out);
    if (!status.is_ok()) return std::move(status).error().in_file(name()).at_offset(offset);
    return status;
  }
  ReadFunction read_;
};

}  // namespace

Status ByteSource::check_range(uint64_t offset, uint64_t size) const {
  if (offset <= size_ && size <= size_ - offset) return Status::ok();
  return error(ErrorKind::kCorrupt, "{} bytes are needed here, but there are only {} in all", size, size_)
      .in_file(name_)
      .at_offset(offset);
}

Status ByteSource::read_at(uint64_t offset, std::span<std::byte> out) const {
  LLMC_RETURN_IF_ERROR(check_range(offset, out.size()));
  return out.empty() ? Status::ok() : read_range(offset, out);
}

Result<ByteSourcePtr> open_byte_source(const std::string& path) {
  if (ByteSourcePtr elsewhere = StandIn::find(path)) return elsewhere;
  // Without O_NONBLOCK the opening of a pipe waits for its writer.
  Descriptor descriptor = open_descriptor(path, O_RDONLY | O_NONBLOCK);
  if (!descriptor.is_open()) return errno_error("cannot open").in_file(path);
  LLMC_ASSIGN_OR_RETURN(const uint64_t size, regular_file_size(descriptor.get(), path));
  return ByteSourcePtr(std::make_shared<FileSource>(std::move(descriptor), size, path));
}

ByteSourcePtr memory_byte_source(std::span<const std::byte> bytes, std::string name) {
  return std::make_shared<MemorySource>(bytes, std::move(name));
}

ByteSourcePtr function_byte_source(uint64_t size, std::string name, ReadFunction read) {
  return std::make_shared<FunctionSource>(size, std::move(name), std::move(read));
}

Result<std::vector<std::byte>> read_range(const ByteSource& source, uint64_t offset, uint64_t size) {
  LLMC_RETURN_IF_ERROR(source.check_range(offset, size));
  std::vector<std::byte> bytes(size);
  LLMC_RETURN_IF_ERROR(source.read_at(offset, bytes));
  return bytes;
}

Status visit_pieces(uint64_t size, uint64_t unit, const ReadFunction& read, const PieceVisitor& visit) {
  const uint64_t piece_bytes = kPieceBytes - kPieceBytes % unit;
  std::vector<std::byte> buffer(std::min(size, piece_bytes));
  for (uint64_t begin = 0; begin < size; begin += piece_bytes) {
    const auto piece = std::span(buffer).first(std::min(piece_bytes, size - begin));
    LLMC_RETURN_IF_ERROR(read(begin, piece));
    LLMC_RETURN_IF_ERROR(visit(piece));
  }
  return Status::ok();
}

}  // namespace llmcodec
