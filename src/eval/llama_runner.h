// SPDX-License-Identifier: BSD-3-Clause
// Runs llama-perplexity in its modes and hands back what it measured. One call = one process
// (repeated when llama.cpp lost its last lines, see the .cc file).
//
// Example:
//
//   LLMC_ASSIGN_OR_RETURN(LlamaRunner runner, LlamaRunner::open({.threads = 2}));
//   LLMC_ASSIGN_OR_RETURN(PerplexityRun run, runner.perplexity("model.gguf", "text.txt"));
//
// Errors: Unsupported when the program is missing, fails, or prints what is not
// understood; Limit on time-out.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "eval/llama_output.h"
#include "eval/tasks.h"

namespace llmcodec {

struct LlamaSettings {
  std::string tools_dir = {};  // empty: $LLMCODEC_LLAMA_DIR, then PATH
  int context = 512;
  int max_chunks = 0;  // 0: all
  int threads = 0;     // 0: llama.cpp's choice
  double timeout_seconds = 24 * 3600;
  std::function<bool()> cancelled = {};  // true ends a run with an Interrupted error
};

// Runs a program of llama.cpp to its end: what it printed. `program` is its path (find_llama_tool); the
// settings give threads, time-out and cancellation.
Result<std::string> run_llama_tool(const std::string& program, std::vector<std::string> arguments,
                                   const LlamaSettings& settings);
// "version (build)" of a program of llama.cpp; empty when it does not say.
Result<std::string> llama_tool_version(const std::string& program);

struct PerplexityRun {
  Measured perplexity;
  int chunks = 0;
};

struct DivergenceRun {
  DivergenceOutput scores;
  int chunks = 0;
};

class LlamaRunner {
 public:
  static Result<LlamaRunner> open(const LlamaSettings& settings);

  Result<PerplexityRun> perplexity(const std::string& model, const std::string& text_file) const;
  // Writes the log-probabilities of every scored token of `text_file` to `base_file`, for divergence().
  Status write_base(const std::string& model, const std::string& text_file,
                    const std::string& base_file) const;
  // `model` against the log-probabilities in `base_file`, on the text and chunks that it was made with.
  Result<DivergenceRun> divergence(const std::string& model, const std::string& base_file) const;
  // `task_file` in llama.cpp's own form for `kind`. shape.tasks is the number that must be scored (0: not
  // known, any number will do); shape.max_choices sets the sequences run side by side (0: 16).
  Result<TaskScore> task(const std::string& model, TaskKind kind, const std::string& task_file,
                         const TaskFile& shape) const;

  const std::string& program() const { return program_; }
  const std::string& version() const { return version_; }

 private:
  LlamaRunner() = default;
  Result<std::string> run(std::vector<std::string> arguments) const;
  template <class T, class Parse>
  Result<T> run_until_understood(const std::string& model, const std::vector<std::string>& arguments,
                                 Parse parse) const;
  void add_chunks(std::vector<std::string>& arguments) const;
  LlamaSettings settings_;
  std::string program_, version_;
};

}  // namespace llmcodec
