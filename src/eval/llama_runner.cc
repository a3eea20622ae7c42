// SPDX-License-Identifier: BSD-3-Clause
#include "eval/llama_runner.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/error.h"
#include "base/stopwatch.h"
#include "base/subprocess.h"

namespace llmcodec {
namespace {

// What chooses and tunes a device. Not LLAMA_*: llama.cpp takes any of its options from there, and results would
// differ from machine to machine.
const std::vector<std::string> kDeviceVariables = {"HOME",   "GGML_*", "CUDA_*", "NVIDIA_*", "HIP_*",
                                                   "ROCR_*", "HSA_*",  "VK_*",   "OMP_*"};

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

Result<std::string> llama_tool_version(const std::string& program) {
  LLMC_ASSIGN_OR_RETURN(ProcessResult result, run_process({.arguments = {program, "--version"},
                                                           .timeout_seconds = 60,
                                                           .kept_variables = kDeviceVariables}));
  return parse_version(text_of(result));
}

Result<std::string> run_llama_tool(const std::string& program, std::vector<std::string> arguments,
                                   const LlamaSettings& settings) {
  arguments.insert(arguments.begin(), program);
  if (settings.threads > 0) {
    arguments.push_back("-t");
    arguments.push_back(std::to_string(settings.threads));
  }
  LLMC_ASSIGN_OR_RETURN(ProcessResult result, run_process({.arguments = arguments,
                                                           .timeout_seconds = settings.timeout_seconds,
                                                           .kept_variables = kDeviceVariables,
                                                           .cancelled = settings.cancelled}));
  std::string text = text_of(result);
  if (result.exit_code != 0) {
    return error(ErrorKind::kUnsupported, "{} failed (exit code {}): {}",
                 program.substr(program.rfind('/') + 1), result.exit_code, last_message(text));
  }
  return text;
}

Result<LlamaRunner> LlamaRunner::open(const LlamaSettings& settings) {
  LlamaRunner runner;
  runner.settings_ = settings;
  LLMC_ASSIGN_OR_RETURN(runner.program_, find_llama_tool("llama-perplexity", settings.tools_dir));
  LLMC_ASSIGN_OR_RETURN(runner.version_, llama_tool_version(runner.program_));
  return runner;
}

Result<std::string> LlamaRunner::run(std::vector<std::string> arguments) const {
  return run_llama_tool(program_, std::move(arguments), settings_);
}

// llama.cpp prints from a thread of its own and can end before that thread has written its last lines (seen
// on a busy machine: three of four short runs). Such a run ends with exit code 0 and without its result, and
// is done again: three times, or for as long as short runs take half a minute.
template <class T, class Parse>
Result<T> LlamaRunner::run_until_understood(const std::string& model,
                                            const std::vector<std::string>& arguments, Parse parse) const {
  const Stopwatch watch;
  for (int attempt = 1;; ++attempt) {
    auto output = run(arguments);
    if (!output.is_ok()) return std::move(output).error().in_file(model);
    Result<T> parsed = parse(*output);
    if (parsed.is_ok()) return parsed;
    const bool soon = watch.seconds() < 30;
    if (attempt >= (soon ? 20 : 3)) return std::move(parsed).error().in_file(model);
  }
}

Result<PerplexityRun> LlamaRunner::perplexity(const std::string& model, const std::string& text_file) const {
  std::vector<std::string> arguments = {"-m",      model, "-f",
                                        text_file, "-c",  std::to_string(settings_.context)};
  add_chunks(arguments);
  return run_until_understood<PerplexityRun>(
      model, arguments, [](const std::string& output) -> Result<PerplexityRun> {
        LLMC_ASSIGN_OR_RETURN(Measured measured, parse_perplexity(output));
        return PerplexityRun{measured, parse_chunks(output)};
      });
}

Status LlamaRunner::write_base(const std::string& model, const std::string& text_file,
                               const std::string& base_file) const {
  std::vector<std::string> arguments = {
      "-m",     model, "-f", text_file, "-c", std::to_string(settings_.context), "--kl-divergence-base",
      base_file};
  add_chunks(arguments);
  auto output = run(std::move(arguments));
  if (!output.is_ok()) return std::move(output).error().in_file(model);
  if (access(base_file.c_str(), R_OK) == 0) return Status::ok();
  return error(ErrorKind::kUnsupported, "llama-perplexity wrote no log-probabilities; it ends with: {}",
               last_message(*output))
      .in_file(model);
}

void LlamaRunner::add_chunks(std::vector<std::string>& arguments) const {
  if (settings_.max_chunks <= 0) return;
  arguments.insert(arguments.end(), {"--chunks", std::to_string(settings_.max_chunks)});
}

Result<DivergenceRun> LlamaRunner::divergence(const std::string& model, const std::string& base_file) const {
  std::vector<std::string> arguments = {"-m",
                                        model,
                                        "--kl-divergence",
                                        "--kl-divergence-base",
                                        base_file,
                                        "-c",
                                        std::to_string(settings_.context)};
  return run_until_understood<DivergenceRun>(
      model, arguments, [](const std::string& output) -> Result<DivergenceRun> {
        LLMC_ASSIGN_OR_RETURN(DivergenceOutput scores, parse_divergence(output));
        return DivergenceRun{scores, parse_chunks(output)};
      });
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
  return run_until_understood<TaskScore>(
      model, arguments, [&](const std::string& output) -> Result<TaskScore> {
        TaskScore score{.file = task_file,
                        .kind = kind,
                        .tasks = shape.tasks,
                        .skipped = shape.skipped,
                        .accuracy_percent = {},
                        .chance_percent = 100 * shape.chance};
        if (score.tasks == 0) {
          LLMC_ASSIGN_OR_RETURN(score.tasks, parse_task_count(output));
        }
        LLMC_ASSIGN_OR_RETURN(score.accuracy_percent, parse_task_accuracy(output, score.tasks));
        return score;
      });
}

}  // namespace llmcodec
