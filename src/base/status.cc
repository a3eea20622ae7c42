// SPDX-License-Identifier: BSD-3-Clause
#include "base/error.h"

#include <cerrno>
#include <system_error>

namespace llmcodec {

const char* error_kind_name(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kIo:
      return "io";
    case ErrorKind::kCorrupt:
      return "corrupt";
    case ErrorKind::kUnsupported:
      return "unsupported";
    case ErrorKind::kInvalidArgument:
      return "invalid_argument";
    case ErrorKind::kLimit:
      return "limit";
    case ErrorKind::kInterrupted:
      return "interrupted";
    case ErrorKind::kInternal:
      return "internal";
  }
  return "internal";
}

Error&& Error::in_file(std::string path) && {
  if (file.empty()) file = std::move(path);
  return std::move(*this);
}

Error&& Error::in_tensor(std::string name) && {
  if (tensor.empty()) tensor = std::move(name);
  return std::move(*this);
}

Error&& Error::at_offset(uint64_t bytes) && {
  if (!offset) offset = bytes;
  return std::move(*this);
}

// Names come from files: a control character in one must not reach the terminal, nor break the line.
static std::string printable(const std::string& name) {
  std::string text;
  for (const char c : name) {
    const auto code = static_cast<unsigned char>(c);
    text += code < 0x20 || code == 0x7f ? fmt::format("\\x{:02x}", code) : std::string(1, c);
  }
  return text;
}

std::string Error::to_string() const {
  std::string text;
  if (!file.empty()) text += printable(file) + ": ";
  if (!tensor.empty()) text += "tensor '" + printable(tensor) + "': ";
  if (offset) text += fmt::format("offset {}: ", *offset);
  return text + message;
}

Error errno_error(const std::string& what) {
  const std::error_code code(errno, std::generic_category());
  return error(ErrorKind::kIo, "{}: {}", what, code.message());
}

}  // namespace llmcodec
