// SPDX-License-Identifier: BSD-3-Clause
// The exit codes of the program: one per kind of error (docs/cli.md).
#pragma once

#include "llmcodec/status.h"

namespace llmcodec::cli {

inline constexpr int kExitUsage = 2;  // the same as an invalid argument: the command line is one

constexpr int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
      return kExitUsage;
    case ErrorKind::kIo:
      return 3;
    case ErrorKind::kCorrupt:
      return 4;
    case ErrorKind::kUnsupported:
      return 5;
    case ErrorKind::kLimit:
      return 6;
    case ErrorKind::kInternal:
      return 70;
    case ErrorKind::kInterrupted:
      return 130;
  }
  return 70;
}

// For the footer of --help.
inline constexpr const char* kExitCodeHelp =
    "Exit codes: 0 done, 2 wrong usage or value, 3 file system, 4 corrupt input, 5 unsupported or missing "
    "program,\n"
    "            6 limit or time-out, 70 internal error, 130 interrupted.";

}  // namespace llmcodec::cli
