// SPDX-License-Identifier: BSD-3-Clause
#include "eval/llama_runner.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/subprocess.h"

namespace llmcodec {
namespace {

std::string text_of(const ProcessResult& result) {
  std::string text(reinterpret_cast<const char*>(result.output.data()), result.output.size());
  if (!text.empty() && text.back() != '\n') text += '\n';
  return text + result.error_text;
}

const char* mode_flag(TaskKind kind) {
  switch (kind) {
    case TaskKind::kMultipleChoice:
      return "--multiple-choice";
    case TaskKind::kWinogrande:
      return "--winogrande";
    case TaskKind::kHellaswag:
      return "--hellaswag";
  }
  return "";
}

}  // namespace

Result<std::string> find_llama_tool(const std::string& name, const std::string& tools_dir) {
  const char* variable = std::getenv("LLMCODEC_LLAMA_DIR");
  std::string folder = !tools_dir.empty() ? tools_dir : variable != nullptr ? variable : "";
  if (folder.empty()) {
    std::string found = find_program(name);
    if (!found.empty()) return found;
    return error(
        ErrorKind::kUnsupported,
        "{} is not in PATH: install llama.cpp, or set LLMCODEC_LLAMA_DIR to the folder of its programs "
        "(./dev tools llama fetches them)",
        name);
  }
  std::string path = folder + "/" + name;
  if (access(path.c_str(), X_OK) == 0) return path;
  return error(ErrorKind::kUnsupported, "no program {} in this folder of llama.cpp's tools", name)
      .in_file(folder);
}

Result<LlamaRunner> LlamaRunner::open(const LlamaSettings& settings) {
  LlamaRunner runner;
  runner.settings_ = settings;
  LLMC_ASSIGN_OR_RETURN(runner.program_, find_llama_tool("llama-perplexity", settings.tools_dir));
  LLMC_ASSIGN_OR_RETURN(ProcessResult result,
                        run_process({.arguments = {runner.program_, "--version"}, .timeout_seconds = 60}));
  runner.version_ = parse_version(text_of(result));
  return runner;
}

Result<std::string> LlamaRunner::run(std::vector<std::string> arguments) const {
  arguments.insert(arguments.begin(), program_);
  if (settings_.threads > 0) {
    arguments.push_back("-t");
    arguments.push_back(std::to_string(settings_.threads));
  }
  LLMC_ASSIGN_OR_RETURN(ProcessResult result,
                        run_process({.arguments = arguments, .timeout_seconds = settings_.timeout_seconds}));
  std::string text = text_of(result);
  if (result.exit_code != 0) {
    return error(ErrorKind::kUnsupported, "llama-perplexity failed (exit code {}): {}", result.exit_code,
                 last_message(text));
  }
  return text;
}

Result<PerplexityRun> LlamaRunner::perplexity(const std::string& model, const std::string& text_file,
                                              const std::string& base_file) const {
  std::vector<std::string> arguments = {"-m",      model, "-f",
                                        text_file, "-c",  std::to_string(settings_.context)};
  if (settings_.max_chunks > 0) {
    arguments.insert(arguments.end(), {"--chunks", std::to_string(settings_.max_chunks)});
  }
  if (!base_file.empty()) arguments.insert(arguments.end(), {"--kl-divergence-base", base_file});
  auto output = run(std::move(arguments));
  if (!output.is_ok()) return std::move(output).error().in_file(model);
  auto measured = parse_perplexity(*output);
  if (!measured.is_ok()) return std::move(measured).error().in_file(model);
  return PerplexityRun{*measured, parse_chunks(*output)};
}

Result<DivergenceRun> LlamaRunner::divergence(const std::string& model, const std::string& base_file) const {
  auto output = run({"-m", model, "--kl-divergence", "--kl-divergence-base", base_file, "-c",
                     std::to_string(settings_.context)});
  if (!output.is_ok()) return std::move(output).error().in_file(model);
  auto scores = parse_divergence(*output);
  if (!scores.is_ok()) return std::move(scores).error().in_file(model);
  return DivergenceRun{*scores, parse_chunks(*output)};
}

Result<TaskScore> LlamaRunner::task(const std::string& model, TaskKind kind, const std::string& task_file,
                                    const TaskFile& shape) const {
  // Binary task files go in with -bf: -f would stop at a zero byte or a line end.
  const char* file_flag = kind == TaskKind::kMultipleChoice ? "-bf" : "-f";
  uint64_t sequences = shape.max_choices == 0 ? 16 : std::max<uint64_t>(4, shape.max_choices);
  std::vector<std::string> arguments = {"-m",
                                        model,
                                        file_flag,
                                        task_file,
                                        mode_flag(kind),
                                        "-np",
                                        std::to_string(sequences),
                                        "-c",
                                        std::to_string(settings_.context)};
  if (kind == TaskKind::kHellaswag && shape.tasks > 0) {
    arguments.insert(arguments.end(), {"--hellaswag-tasks", std::to_string(shape.tasks)});
  }
  auto output = run(std::move(arguments));
  if (!output.is_ok()) return std::move(output).error().in_file(model);
  TaskScore score{.file = task_file,
                  .kind = kind,
                  .tasks = shape.tasks,
                  .skipped = shape.skipped,
                  .accuracy_percent = {},
                  .chance_percent = 100 * shape.chance};
  if (score.tasks == 0) {
    LLMC_ASSIGN_OR_RETURN(score.tasks, parse_task_count(*output));
  }
  LLMC_ASSIGN_OR_RETURN(score.accuracy_percent, parse_task_accuracy(*output, score.tasks));
  return score;
}

}  // namespace llmcodec
