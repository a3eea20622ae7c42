// SPDX-License-Identifier: BSD-3-Clause
// Errors whose message is put together. Apart from llmcodec/status.h, so that no dependency's header reaches those who
// include ours.
//
// Example (const std::string& path, uint64_t bytes, uint64_t most):
//
//   return error(ErrorKind::kLimit, "header of {} bytes, at most {} are accepted", bytes, most).in_file(path);
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "llmcodec/status.h"

namespace llmcodec {

template <class... Args>
Error error(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  return Error{kind, fmt::format(format, std::forward<Args>(args)...)};
}

// Io error with the message of `errno` appended; call it before anything else can change errno.
Error errno_error(const std::string& what);

}  // namespace llmcodec
