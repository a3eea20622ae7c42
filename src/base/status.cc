// SPDX-License-Identifier: BSD-3-Clause
#include "base/error.h"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "base/printable.h"

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

// A message may quote several lines of another program.
static std::string joined_lines(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  return text;
}

std::string Error::to_string() const {
  std::string text;
  if (!file.empty()) text += printable(file) + ": ";
  if (!tensor.empty()) text += "tensor '" + printable(tensor, kMaxPrintedNameBytes) + "': ";
  if (offset) text += fmt::format("offset {}: ", *offset);
  return text + printable(joined_lines(message));
}

Error errno_error(const std::string& what) {
  const std::error_code code(errno, std::generic_category());
  return error(ErrorKind::kIo, "{}: {}", what, code.message());
}

}  // namespace llmcodec
