// SPDX-License-Identifier: BSD-3-Clause
#include "base/error.h"
#include "base/printable.h"
#include "llmcodec/importance.h"

#include "commands.h"
#include "text_format.h"

namespace llmcodec::cli {
namespace {

constexpr const char* kExamples =
    "  llmcodec importance model.gguf -o model.imatrix.gguf                       (random tokens, no text)\n"
    "  llmcodec importance model.gguf -o model.imatrix.gguf --text calibration.jsonl --chunks 128\n"
    "  llmcodec compress model.gguf -o model.safetensors --bpw 3 --importance model.imatrix.gguf";

std::string report_text(const ImportanceMatrixReport& report) {
  return fmt::format("{}: inputs of {} weights, {} bytes\nfrom {}: {} chunks of {} tokens\n{} in {}\n",
                     printable(report.output), report.entries, grouped(report.bytes),
                     report.text_file.empty() ? "random tokens" : printable(report.text_file), report.chunks,
                     kImportanceContext,
                     printable(report.tool_version.empty() ? report.tool : report.tool_version),
                     short_duration(report.seconds));
}

Status run_importance(Session& session, ImportanceMatrixOptions options) {
  options.threads = static_cast<int>(session.threads());
  options.cancelled = session.control().cancelled;
  LLMC_ASSIGN_OR_RETURN(const ImportanceMatrixReport report, make_importance_matrix(options));
  if (!report.has_head)
    session.note("note: the output head has no entry: this llama-imatrix knows no --process-output for it");
  if (session.json()) {
    session.print_json(report.to_json());
  } else {
    session.print(report_text(report));
  }
  return Status::ok();
}

}  // namespace

void add_importance(CLI::App& app, Session& session) {
  CLI::App* command = session.add_command(
      app, "importance",
      "Make an importance matrix of a GGUF model with llama.cpp, for compress --importance", kExamples,
      {.threads = true, .progress = true});
  auto options = std::make_shared<ImportanceMatrixOptions>();
  command->add_option("IN", options->model, "a GGUF model")->type_name("")->required();
  command->add_option("-o,--output", options->output, "GGUF imatrix to write; replaced if it exists")
      ->type_name("FILE")
      ->required();
  CLI::Option* text =
      command
          ->add_option("--text", options->text_file,
                       "run on this UTF-8 text, or on the field \"text\" of JSON lines (*.jsonl)")
          ->type_name("FILE");
  command
      ->add_flag_callback(
          "--random", [options] { options->text_file.clear(); },
          "run on random tokens, frequent ones more often; the default")
      ->excludes(text);
  command
      ->add_option("--chunks", options->chunks,
                   fmt::format("of {} tokens, at most; default: {} of random tokens, {} of a text",
                               kImportanceContext, kDefaultRandomChunks, kDefaultImportanceChunks))
      ->type_name("N")
      ->check(integer_between(1, 1 << 20));
  command
      ->add_option("--tools-dir", options->tools_dir,
                   "folder of llama.cpp's programs; else $LLMCODEC_LLAMA_DIR, then PATH")
      ->type_name("FOLDER");
  command->add_option("--timeout", options->timeout_seconds, "seconds that the run of llama.cpp may take")
      ->type_name("S")
      ->check(positive_number());
  session.on_command(command, [&session, options] { return run_importance(session, *options); });
}

}  // namespace llmcodec::cli
