// SPDX-License-Identifier: BSD-3-Clause
// Makes an importance matrix (imatrix) for CompressOptions::importance: E[x_j^2] of the inputs of every
// linear layer, in llama.cpp's GGUF form, by running a GGUF model with llama.cpp's own llama-imatrix. The
// tool is run as a process, never linked.
//
// Example:
//
//   ImportanceMatrixOptions options;
//   options.model = "model.gguf";
//   options.output = "model.imatrix.gguf";  // no text given: random tokens
//   LLMC_ASSIGN_OR_RETURN(ImportanceMatrixReport report, make_importance_matrix(options));
//
// Random tokens are drawn independently by the Zipf-Mandelbrot law: the share of id i is proportional to
// 1 / (i + 500), as in a vocabulary that is sorted by frequency. llama-imatrix takes text only, so they reach
// it as the text that they spell and are tokenised again (docs/importance.md has what that changes). The
// same model gives the same text every time.
//
// Errors: Unsupported when the model is no GGUF, its vocabulary spells no text, or llama-imatrix is not
// found, fails, or writes no GGUF (the message carries its last line); InvalidArgument for a text that is
// not UTF-8 or too short (two chunks are the least that llama-imatrix takes), and for an output that is the
// model or the text itself; Io for files; Limit on time-out. The output appears whole or not at all; one
// that exists is replaced.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "llmcodec/status.h"

namespace llmcodec {

inline constexpr int kImportanceContext = 512;       // tokens of a chunk
inline constexpr int kDefaultRandomChunks = 16;      // more changed nothing that could be measured
inline constexpr int kDefaultImportanceChunks = 64;  // of a text

struct ImportanceMatrixOptions {
  std::string model;      // GGUF
  std::string output;     // GGUF imatrix
  std::string text_file;  // UTF-8 text, or JSON lines (*.jsonl) with a field "text"; empty: random tokens
  int chunks = 0;         // at most; 0: the defaults above
  std::string tools_dir;  // folder with llama-imatrix; empty: $LLMCODEC_LLAMA_DIR, then PATH
  int threads = 0;        // 0: what llama.cpp takes
  double timeout_seconds = 24 * 3600;
  // Looked at while llama.cpp runs; true kills it and ends the call with an Interrupted error.
  std::function<bool()> cancelled = {};
};

struct ImportanceMatrixReport {
  std::string model, output, text_file, tool, tool_version;  // text_file is empty for random tokens
  uint64_t text_bytes = 0;                                   // of what llama-imatrix was given
  int chunks = 0;                                            // that were run
  uint64_t entries = 0;                                      // weights that the file knows the inputs of
  bool has_head = false;                                     // the output head, tied or not, is among them
  uint64_t bytes = 0;
  double seconds = 0;

  // One object; keys: model, output, source ("random" or "text"), text (absent for random tokens),
  // text_bytes, context, chunks, entries, has_head, bytes, tool, tool_version, seconds.
  std::string to_json() const;
};

Result<ImportanceMatrixReport> make_importance_matrix(const ImportanceMatrixOptions& options);

}  // namespace llmcodec
