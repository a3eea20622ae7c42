// SPDX-License-Identifier: BSD-3-Clause
// Scores a language model in GGUF form with llama.cpp's own tools: perplexity, KL divergence and top-1
// agreement against the original, and multiple-choice tasks. The tools are run as processes, never linked.
//
// Example:
//
//   EvalOptions options;
//   options.candidate = "restored.gguf";
//   options.original = "model.gguf";
//   options.text_file = "wiki.test.raw";
//   LLMC_ASSIGN_OR_RETURN(EvalReport report, evaluate(options));
//   puts(report.to_json().c_str());
//
// Errors: Unsupported when llama-perplexity is not found, fails, or prints something that is not
// understood (the message carries its last line); Io for files; InvalidArgument for task files that cannot
// be read; Limit on time-out. Scores depend on the CPU's instruction set in their fourth digit: compare
// numbers from one backend only.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "llmcodec/status.h"

namespace llmcodec {

enum class TaskKind {
  kMultipleChoice,  // .jsonl {"query", "choices", "gold"} per line, or llama.cpp's binary task file
  kWinogrande,      // .jsonl {"context_options", "continuation", "gold"} per line, or llama.cpp's .csv
  kHellaswag,       // llama.cpp's text form: six lines per task
};

struct EvalTask {
  TaskKind kind = TaskKind::kMultipleChoice;
  std::string file;
  // 0: all; otherwise this many, evenly spaced through the file (files in .jsonl only).
  uint64_t max_tasks = 0;
};

// "piqa.jsonl" -> multiple choice; a name that contains "winogrande" or "hellaswag" -> that kind.
EvalTask eval_task_from_file(const std::string& file);

struct EvalOptions {
  std::string candidate;        // GGUF to be scored
  std::string original;         // GGUF it is compared with; empty: perplexity and tasks only
  std::string text_file;        // UTF-8 text; empty: no perplexity and no divergence
  uint64_t max_text_bytes = 0;  // first bytes of the text, cut back to a whole UTF-8 character; 0: all
  int context = 512;            // tokens; the second half of each chunk is scored
  int max_chunks = 0;           // 0: all that the text gives
  std::vector<EvalTask> tasks;
  bool tasks_on_original = false;  // score the original on the tasks as well
  std::string tools_dir;           // folder with llama-perplexity; empty: $LLMCODEC_LLAMA_DIR, then PATH
  // Folder that keeps the original's log-probabilities (about 20 MB per chunk at 49,152 tokens of
  // vocabulary), so that the next candidate of the same original, text and settings needs only its own run;
  // empty: a temporary folder.
  std::string cache_dir;
  int threads = 0;                     // 0: what llama.cpp takes
  double timeout_seconds = 24 * 3600;  // of one run
  // Looked at while llama.cpp runs; true kills it and ends the call with an Interrupted error.
  std::function<bool()> cancelled = {};
};

struct Measured {
  double value = 0;
  double error = 0;  // one standard error
};

struct Divergence {
  Measured mean_kl;   // nats per token
  double kl_999 = 0;  // 99.9 % quantile
  double max_kl = 0;
  Measured top1_percent;          // how often both models name the same token first
  Measured log_perplexity_ratio;  // ln(perplexity of the candidate / of the original)
};

struct TaskScore {
  std::string file;
  TaskKind kind = TaskKind::kMultipleChoice;
  uint64_t tasks = 0;         // scored
  uint64_t skipped = 0;       // of the file, because llama.cpp's form cannot hold them
  Measured accuracy_percent;  // binomial standard error
  double chance_percent = 0;  // of a blind guess
};

struct EvalReport {
  std::string candidate, original, text_file, tool, tool_version;
  uint64_t text_bytes = 0;
  int context = 0;
  int chunks = 0;
  std::optional<Measured> perplexity;  // of the candidate
  std::optional<Measured> original_perplexity;
  std::optional<Divergence> divergence;
  std::vector<TaskScore> tasks;
  std::vector<TaskScore> original_tasks;
  double seconds = 0;

  // One object; keys: candidate, original, text, text_bytes, context, chunks, tool, tool_version, seconds,
  // perplexity, perplexity_error, original_perplexity, original_perplexity_error, kl, kl_error, kl_999,
  // kl_max, top1_percent, top1_percent_error, log_perplexity_ratio, log_perplexity_ratio_error, tasks,
  // original_tasks (each a list of file, kind, tasks, skipped, accuracy_percent, accuracy_percent_error,
  // chance_percent). What was not measured is absent; what is not a number is null.
  std::string to_json() const;
};

Result<EvalReport> evaluate(const EvalOptions& options);

// Path of llama.cpp's program `name` as evaluate() would run it. Unsupported, with what to do,
// when there is none.
Result<std::string> find_llama_tool(const std::string& name, const std::string& tools_dir);

}  // namespace llmcodec
