// SPDX-License-Identifier: BSD-3-Clause
#include "base/error.h"
#include "base/printable.h"
#include "llmcodec/eval.h"

#include "commands.h"
#include "text_file.h"
#include "text_format.h"

namespace llmcodec::cli {
namespace {

constexpr const char* kExamples =
    "  llmcodec eval restored.gguf --original model.gguf --text wiki.test.raw --max-bytes 60000 --cache "
    "./cache\n"
    "  llmcodec eval model.llmcodec.safetensors --original model.gguf --text wiki.test.raw   (restores it "
    "first)\n"
    "  llmcodec eval restored.gguf --task piqa.jsonl --task winogrande.jsonl --max-tasks 500";

struct EvalArguments {
  EvalOptions options;
  std::vector<std::string> tasks;
  uint64_t max_tasks = 0;
  std::string dtype;
};

std::string measured_text(const Measured& measured, int digits) {
  return fmt::format("{} ± {}", decimals(measured.value, digits), decimals(measured.error, digits));
}

void add_scores(const EvalReport& report, std::string* text) {
  if (report.perplexity) {
    *text += fmt::format("perplexity        {}", measured_text(*report.perplexity, 3));
    if (report.original_perplexity)
      *text += fmt::format("  (original {})", measured_text(*report.original_perplexity, 3));
    *text += "\n";
  }
  if (!report.divergence) return;
  const Divergence& divergence = *report.divergence;
  *text +=
      fmt::format("KL divergence     {}  (99.9 %: {}, largest {})\n", measured_text(divergence.mean_kl, 5),
                  decimals(divergence.kl_999, 3), decimals(divergence.max_kl, 3));
  *text += fmt::format("same first token  {} %\n", measured_text(divergence.top1_percent, 2));
}

std::string task_text(const TaskScore& score, const std::vector<TaskScore>& originals) {
  std::string text =
      fmt::format("{}  {} % of {} tasks, chance {} %", printable(score.file),
                  measured_text(score.accuracy_percent, 2), score.tasks, decimals(score.chance_percent, 1));
  if (score.skipped > 0) text += fmt::format(", {} skipped", score.skipped);
  for (const TaskScore& original : originals) {
    if (original.file == score.file)
      text += fmt::format("  (original {} %)", measured_text(original.accuracy_percent, 2));
  }
  return text + "\n";
}

std::string report_text(const EvalReport& report) {
  std::string text = fmt::format("candidate         {}\n", printable(report.candidate));
  if (!report.original.empty()) text += fmt::format("original          {}\n", printable(report.original));
  if (!report.text_file.empty()) {
    text +=
        fmt::format("text              {}: {} bytes, {} chunks of {} tokens\n", printable(report.text_file),
                    grouped(report.text_bytes), report.chunks, report.context);
  }
  add_scores(report, &text);
  for (const TaskScore& score : report.tasks) text += task_text(score, report.original_tasks);
  return text + fmt::format("{} in {}\n",
                            printable(report.tool_version.empty() ? report.tool : report.tool_version),
                            short_duration(report.seconds));
}

// An archive becomes a GGUF in `folder`; a GGUF stays where it is.
Result<std::string> gguf_of(Session& session, const EvalArguments& arguments, const TemporaryFolder& folder) {
  DecompressOptions restore{.input = arguments.options.candidate,
                            .output = folder.path() + "/candidate.gguf",
                            .dtype = arguments.dtype,
                            .format = "gguf"};
  restore.control = session.control();
  LLMC_RETURN_IF_ERROR(decompress(restore));
  return restore.output;
}

Status run_eval(Session& session, const EvalArguments& arguments) {
  EvalOptions options = arguments.options;
  options.threads = static_cast<int>(session.threads());
  options.cancelled = session.control().cancelled;
  for (const std::string& file : arguments.tasks) {
    options.tasks.push_back(eval_task_from_file(file));
    options.tasks.back().max_tasks = arguments.max_tasks;
  }
  // A missing tool should be known before minutes of decoding.
  LLMC_RETURN_IF_ERROR(find_llama_tool("llama-perplexity", options.tools_dir));
  std::optional<TemporaryFolder> folder;
  if (!is_gguf_file(options.candidate)) {
    LLMC_ASSIGN_OR_RETURN(folder, TemporaryFolder::create());
    LLMC_ASSIGN_OR_RETURN(options.candidate, gguf_of(session, arguments, *folder));
  }
  LLMC_ASSIGN_OR_RETURN(EvalReport report, evaluate(options));
  report.candidate = arguments.options.candidate;
  if (session.json()) {
    session.print_json(report.to_json());
  } else {
    session.print(report_text(report));
  }
  return Status::ok();
}

void add_text_options(CLI::App& command, EvalOptions& options) {
  constexpr const char* kGroup = "Text";
  command
      .add_option("--text", options.text_file,
                  "UTF-8 text to score: perplexity, and KL divergence with --original")
      ->type_name("FILE")
      ->group(kGroup);
  command.add_option("--max-bytes", options.max_text_bytes, "first bytes of the text; default: all")
      ->type_name("SIZE")
      ->transform(byte_size())
      ->group(kGroup);
  command.add_option("--context", options.context, "tokens; the second half of each chunk is scored")
      ->type_name("N")
      ->check(integer_between(16, 1 << 20))
      ->capture_default_str()
      ->group(kGroup);
  command.add_option("--chunks", options.max_chunks, "at most; default: all that the text gives")
      ->type_name("N")
      ->check(integer_between(1, 1 << 30))
      ->group(kGroup);
  command
      .add_option("--cache", options.cache_dir,
                  "folder that keeps the original's log-probabilities for the next candidate")
      ->type_name("FOLDER")
      ->group(kGroup);
}

void add_task_options(CLI::App& command, EvalArguments& arguments) {
  constexpr const char* kGroup = "Tasks";
  repeatable(command.add_option(
                 "--task", arguments.tasks,
                 "multiple choice, WinoGrande or HellaSwag, told by name (docs/evaluation.md); repeatable"))
      ->type_name("FILE")
      ->group(kGroup);
  command.add_option("--max-tasks", arguments.max_tasks, "of each file, evenly spaced; default: all")
      ->type_name("N")
      ->group(kGroup);
  command
      .add_flag("--tasks-on-original", arguments.options.tasks_on_original,
                "score the original on the tasks as well")
      ->group(kGroup);
}

}  // namespace

void add_eval(CLI::App& app, Session& session) {
  CLI::App* command =
      session.add_command(app, "eval", "Score a restored model with llama.cpp: perplexity, KL, tasks",
                          kExamples, {.threads = true, .ffmpeg = true, .progress = true});
  auto arguments = std::make_shared<EvalArguments>();
  command->add_option("CANDIDATE", arguments->options.candidate, "a GGUF, or an archive made from one")
      ->type_name("")
      ->required();
  command->add_option("--original", arguments->options.original, "GGUF to compare with")->type_name("GGUF");
  one_of(command->add_option("--dtype", arguments->dtype,
                             "of the weights of a restored archive; default: each tensor's own"),
         {"f32", "f16", "bf16", "q8_0"});
  command
      ->add_option("--tools-dir", arguments->options.tools_dir,
                   "folder of llama.cpp's programs; else $LLMCODEC_LLAMA_DIR, then PATH")
      ->type_name("FOLDER");
  command
      ->add_option("--timeout", arguments->options.timeout_seconds,
                   "seconds that one run of llama.cpp may take")
      ->type_name("S")
      ->check(positive_number());
  add_text_options(*command, arguments->options);
  add_task_options(*command, *arguments);
  session.on_command(command, [&session, arguments] { return run_eval(session, *arguments); });
}

}  // namespace llmcodec::cli
