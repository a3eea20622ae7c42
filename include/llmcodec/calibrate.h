// SPDX-License-Identifier: BSD-3-Clause
// Moments of a model's inputs and outputs for CompressOptions::importance and ::hessian, measured by the Python
// package `llmcodec.calibrate`, which runs the model with PyTorch and transformers: on text that the model writes
// itself, or on a text that is given. It is run as a process, never linked: by the Python that $LLMCODEC_PYTHON names,
// else `python3` in PATH.
//
// Example (CompressOptions& options):
//
//   LLMC_ASSIGN_OR_RETURN(const CalibrationFiles files, calibrate({.model = options.input}));
//   options.importance = files.imatrix;
//   options.hessian = files.hessian;
//
// The files lie in the user's cache ($XDG_CACHE_HOME/llmcodec, or ~/.cache/llmcodec), by a hash of the model's files,
// the text and the version: a second call with the same costs nothing. An interrupted call is gone on with by the next.
//
// Errors: Unsupported when there is no Python with the package, or transformers does not run the model;
// InvalidArgument for a text that cannot be read or is too short; Interrupted.
#pragma once

#include <functional>
#include <string>

#include "llmcodec/status.h"

namespace llmcodec {

struct CalibrationOptions {
  std::string model;  // a Hugging Face folder, its weights, or a GGUF file
  std::string text_file =
      {};                // UTF-8 text, or JSON lines (*.jsonl) with a field "text"; empty: self-written text
  unsigned threads = 0;  // 0: one per core
  // Called with each line that tells how far it is; the first says how long it takes and how much memory.
  std::function<void(const std::string&)> line = {};
  std::function<bool()> cancelled = {};  // looked at meanwhile; true ends the call with an Interrupted error
};

struct CalibrationFiles {
  std::string imatrix, hessian;
};

Result<CalibrationFiles> calibrate(const CalibrationOptions& options);

}  // namespace llmcodec
