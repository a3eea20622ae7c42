// SPDX-License-Identifier: BSD-3-Clause
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/stopwatch.h"
#include "eval/llama_runner.h"
#include "eval/temporary_folder.h"
#include "llmcodec/eval.h"

namespace llmcodec {
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kMaxTextBytes = 1ull << 30;

// The first `max_bytes` of `text`, without the piece of a character at the end.
void cut_utf8(std::string& text, uint64_t max_bytes) {
  if (max_bytes == 0 || text.size() <= max_bytes) return;
  size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
}

uint64_t fnv1a(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return hash;
}

// Everything that the original's log-probabilities depend on, in one name. The model is known by path, size
// and time: hashing gigabytes on every call would cost more than it guards.
Result<std::string> base_name(const EvalOptions& options, const std::string& text,
                              const std::string& version) {
  struct stat info;
  if (stat(options.original.c_str(), &info) != 0) return errno_error("cannot read").in_file(options.original);
  std::error_code code;
  std::string path = std::filesystem::canonical(options.original, code).string();
  const char* cpu = std::getenv("LLAMA_CPU");
  std::string identity = fmt::format("{}\n{}\n{}.{}\n{:x}\n{}\n{}\n{}\n{}", path, info.st_size,
                                     info.st_mtim.tv_sec, info.st_mtim.tv_nsec, fnv1a(text), options.context,
                                     options.max_chunks, version, cpu != nullptr ? cpu : "");
  return fmt::format("base-{:016x}.kld", fnv1a(identity));
}

// Path of the original's log-probabilities, made unless the cache has them.
Result<std::string> make_base(const EvalOptions& options, const LlamaRunner& runner,
                              const std::string& text_file, const std::string& text,
                              const TemporaryFolder& folder) {
  LLMC_ASSIGN_OR_RETURN(std::string name, base_name(options, text, runner.version()));
  std::string path = options.cache_dir.empty() ? folder.file(name) : options.cache_dir + "/" + name;
  std::error_code code;
  if (std::filesystem::exists(path, code)) return path;
  if (!options.cache_dir.empty()) std::filesystem::create_directories(options.cache_dir, code);
  LLMC_ASSIGN_OR_RETURN(AtomicFile base, AtomicFile::create(path));
  LLMC_RETURN_IF_ERROR(runner.write_base(options.original, text_file, base.partial()));
  if (std::filesystem::file_size(base.partial(), code) == 0 || code)
    return error(ErrorKind::kIo, "llama-perplexity wrote no log-probabilities").in_file(path);
  LLMC_RETURN_IF_ERROR(base.commit());
  return path;
}

Status score_text(const EvalOptions& options, const LlamaRunner& runner, const TemporaryFolder& folder,
                  EvalReport& report) {
  LLMC_ASSIGN_OR_RETURN(std::string text, read_text_file(options.text_file, kMaxTextBytes));
  cut_utf8(text, options.max_text_bytes);
  report.text_bytes = text.size();
  std::string text_file = folder.file("text.txt");
  LLMC_RETURN_IF_ERROR(write_text_file(text_file, text));
  if (options.original.empty()) {
    LLMC_ASSIGN_OR_RETURN(PerplexityRun run, runner.perplexity(options.candidate, text_file));
    report.perplexity = run.perplexity;
    report.chunks = run.chunks;
    return Status::ok();
  }
  LLMC_ASSIGN_OR_RETURN(std::string base, make_base(options, runner, text_file, text, folder));
  LLMC_ASSIGN_OR_RETURN(DivergenceRun run, runner.divergence(options.candidate, base));
  report.perplexity = run.scores.perplexity;
  report.original_perplexity = run.scores.original_perplexity;
  report.divergence = run.scores.divergence;
  report.chunks = run.chunks;
  return Status::ok();
}

bool is_json_lines(const std::string& path) {
  return path.ends_with(".jsonl") || path.ends_with(".json");
}

// The task file in llama.cpp's form: `path` is changed to the converted one.
Result<TaskFile> prepare_task(const EvalTask& task, const TemporaryFolder& folder, std::string& path) {
  if (!is_json_lines(task.file)) {
    TaskFile shape;
    shape.tasks = task.kind == TaskKind::kHellaswag ? task.max_tasks : 0;
    shape.chance = task.kind == TaskKind::kWinogrande ? 0.5 : task.kind == TaskKind::kHellaswag ? 0.25 : 0;
    return shape;
  }
  if (task.kind == TaskKind::kHellaswag) {
    return error(ErrorKind::kUnsupported, "HellaSwag is read in llama.cpp's text form only")
        .in_file(task.file);
  }
  LLMC_ASSIGN_OR_RETURN(std::string text, read_text_file(task.file, kMaxTextBytes));
  auto converted = task.kind == TaskKind::kWinogrande ? winogrande_from_jsonl(text, task.max_tasks)
                                                      : multiple_choice_from_jsonl(text, task.max_tasks);
  if (!converted.is_ok()) return std::move(converted).error().in_file(task.file);
  path = folder.file("tasks");
  LLMC_RETURN_IF_ERROR(write_text_file(path, converted->data));
  return converted;
}

Status score_tasks(const EvalOptions& options, const LlamaRunner& runner, const TemporaryFolder& folder,
                   EvalReport& report) {
  for (const EvalTask& task : options.tasks) {
    std::string path = task.file;
    LLMC_ASSIGN_OR_RETURN(TaskFile shape, prepare_task(task, folder, path));
    LLMC_ASSIGN_OR_RETURN(TaskScore score, runner.task(options.candidate, task.kind, path, shape));
    score.file = task.file;
    report.tasks.push_back(score);
    if (!options.tasks_on_original || options.original.empty()) continue;
    LLMC_ASSIGN_OR_RETURN(TaskScore original, runner.task(options.original, task.kind, path, shape));
    original.file = task.file;
    report.original_tasks.push_back(original);
  }
  return Status::ok();
}

const char* task_kind_name(TaskKind kind) {
  switch (kind) {
    case TaskKind::kMultipleChoice:
      return "multiple_choice";
    case TaskKind::kWinogrande:
      return "winogrande";
    case TaskKind::kHellaswag:
      return "hellaswag";
  }
  return "";
}

void put(Json& json, const std::string& key, const Measured& measured) {
  json[key] = measured.value;
  json[key + "_error"] = measured.error;
}

Json tasks_json(const std::vector<TaskScore>& scores) {
  Json list = Json::array();
  for (const TaskScore& score : scores) {
    Json entry = {{"file", score.file},
                  {"kind", task_kind_name(score.kind)},
                  {"tasks", score.tasks},
                  {"skipped", score.skipped},
                  {"chance_percent", score.chance_percent}};
    put(entry, "accuracy_percent", score.accuracy_percent);
    list.push_back(entry);
  }
  return list;
}

Status check_options(const EvalOptions& options) {
  if (options.candidate.empty()) return error(ErrorKind::kInvalidArgument, "no model to score");
  if (options.text_file.empty() && options.tasks.empty()) {
    return error(ErrorKind::kInvalidArgument, "nothing to score on: give a text or task files");
  }
  if (options.context < 2 || options.context > 1 << 20) {
    return error(ErrorKind::kInvalidArgument, "context of {} tokens is not in 2..{}", options.context,
                 1 << 20);
  }
  for (const std::string& model : {options.candidate, options.original}) {
    if (!model.empty() && access(model.c_str(), R_OK) != 0) return errno_error("cannot read").in_file(model);
  }
  return Status::ok();
}

}  // namespace

EvalTask eval_task_from_file(const std::string& file) {
  std::string name = std::filesystem::path(file).filename().string();
  TaskKind kind = name.find("winogrande") != std::string::npos  ? TaskKind::kWinogrande
                  : name.find("hellaswag") != std::string::npos ? TaskKind::kHellaswag
                                                                : TaskKind::kMultipleChoice;
  return {kind, file, 0};
}

Result<EvalReport> evaluate(const EvalOptions& options) {
  LLMC_RETURN_IF_ERROR(check_options(options));
  const Stopwatch watch;
  LLMC_ASSIGN_OR_RETURN(LlamaRunner runner, LlamaRunner::open({.tools_dir = options.tools_dir,
                                                               .context = options.context,
                                                               .max_chunks = options.max_chunks,
                                                               .threads = options.threads,
                                                               .timeout_seconds = options.timeout_seconds,
                                                               .cancelled = options.cancelled}));
  LLMC_ASSIGN_OR_RETURN(TemporaryFolder folder, TemporaryFolder::create());
  EvalReport report;
  report.candidate = options.candidate;
  report.original = options.original;
  report.text_file = options.text_file;
  report.context = options.context;
  report.tool = runner.program();
  report.tool_version = runner.version();
  if (!options.text_file.empty()) LLMC_RETURN_IF_ERROR(score_text(options, runner, folder, report));
  LLMC_RETURN_IF_ERROR(score_tasks(options, runner, folder, report));
  report.seconds = watch.seconds();
  return report;
}

std::string EvalReport::to_json() const {
  Json json = {{"candidate", candidate},
               {"tool", tool},
               {"tool_version", tool_version},
               {"context", context},
               {"seconds", seconds}};
  if (!original.empty()) json["original"] = original;
  if (!text_file.empty()) {
    json["text"] = text_file;
    json["text_bytes"] = text_bytes;
    json["chunks"] = chunks;
  }
  if (perplexity) put(json, "perplexity", *perplexity);
  if (original_perplexity) put(json, "original_perplexity", *original_perplexity);
  if (divergence) {
    put(json, "kl", divergence->mean_kl);
    json["kl_999"] = divergence->kl_999;
    json["kl_max"] = divergence->max_kl;
    put(json, "top1_percent", divergence->top1_percent);
    put(json, "log_perplexity_ratio", divergence->log_perplexity_ratio);
  }
  if (!tasks.empty()) json["tasks"] = tasks_json(tasks);
  if (!original_tasks.empty()) json["original_tasks"] = tasks_json(original_tasks);
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

}  // namespace llmcodec
