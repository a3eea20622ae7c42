// SPDX-License-Identifier: BSD-3-Clause
// Errors of the library as Python exceptions (llmcodec._errors), and paths and texts on their way there.
#pragma once

#include <nanobind/nanobind.h>

#include <string>

#include "llmcodec/status.h"

namespace llmcodec::python {

namespace nb = nanobind;

// Throws the exception of this error's kind. The caller holds the GIL.
[[noreturn]] void raise(const Error& error);

inline void raise_unless(const Status& status) {
  if (!status.is_ok()) raise(status.error());
}

template <class T>
T value_or_raise(Result<T> result) {
  if (!result.is_ok()) raise(result.error());
  return std::move(result).value();
}

// Paths are the system's bytes on both sides: os.fsencode() made them.
inline std::string path_of(const nb::bytes& path) {
  return {path.c_str(), path.size()};
}

}  // namespace llmcodec::python
