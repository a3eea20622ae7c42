// SPDX-License-Identifier: BSD-3-Clause
// Runs one program to its end: bytes in on its standard input, bytes out from its standard output, no
// shell, no temporary file. The child has no descriptors but these, and is killed (and reaped) on time-out, on
// too much output, and when this process dies.
//
// Example:
//
//   LLMC_ASSIGN_OR_RETURN(const ProcessResult result, run_process({.arguments = {"ffmpeg", "-version"}}));
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/sandbox.h"
#include "llmcodec/status.h"

namespace llmcodec {

struct ProcessOptions {
  std::vector<std::string> arguments;      // [0] is the program: a path, or a name looked up in PATH
  std::span<const std::byte> input = {};   // written to its standard input, then closed
  double timeout_seconds = 3600;           // Limit error when passed
  uint64_t max_output_bytes = 1ull << 32;  // Limit error when passed
  // Variables of ours that it gets besides PATH and LD_LIBRARY_PATH ("CUDA_*": all that begin so). No others:
  // environments hold passwords. LANG is C.
  std::vector<std::string> kept_variables = {};
  std::optional<Sandbox> sandbox = {};
  // Asked a few times a second; true kills the child and gives an Interrupted error.
  std::function<bool()> cancelled = {};
  // Called with each piece of standard error as it arrives.
  std::function<void(std::string_view)> error_sink = {};
};

struct ProcessResult {
  int exit_code = 0;              // 128 + signal number when killed by a signal
  std::vector<std::byte> output;  // standard output
  std::string error_text;         // the last 16 KiB of standard error
};

// Errors: Unsupported when the program does not exist, cannot be run or cannot enter its sandbox, Limit as above, Io for pipes and
// forks. A non-zero exit code is NOT an error here: the caller knows what it means.
Result<ProcessResult> run_process(const ProcessOptions& options);

// The path of program `name` as run_process() would find it; empty if there is none.
std::string find_program(const std::string& name);

}  // namespace llmcodec
