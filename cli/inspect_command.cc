// SPDX-License-Identifier: BSD-3-Clause
#include "base/error.h"
#include "base/printable.h"
#include "commands.h"
#include "source_summary.h"
#include "tensor_table.h"
#include "text_format.h"

namespace llmcodec::cli {
namespace {

constexpr const char* kExamples =
    "  llmcodec inspect SmolLM2.llmcodec.safetensors\n"
    "  llmcodec inspect SmolLM2.gguf\n"
    "  llmcodec inspect SmolLM2.llmcodec.safetensors --json | jq '.tensors[] | select(.coded) | .name'";

Status run_inspect(Session& session, const std::string& path) {
  if (!is_archive(path)) {
    CompressOptions options;
    options.input = path;
    return show_source(session, options);
  }
  LLMC_ASSIGN_OR_RETURN(const InspectReport report, inspect(path));
  if (session.json()) {
    session.print_json(report.to_json());
    return Status::ok();
  }
  session.print(tensor_table(report.tensors, {.outliers = true}));
  session.print(fmt::format("\n{} parameters in {} bytes: {:.3f} bpw (weights alone {:.3f}), {}\n",
                            grouped(report.parameters), grouped(report.bytes), report.bpw, report.bpw_weights,
                            coded_count(report.tensors)));
  session.print(parts_lines(report.parts) + carried_line(report.carried_files));
  session.print(fmt::format("made by {} from a source of kind '{}': {}\n", printable(report.writer),
                            printable(report.source_kind), printable(report.command)));
  return Status::ok();
}

}  // namespace

void add_inspect(CLI::App& app, Session& session) {
  CLI::App* command = session.add_command(
      app, "inspect",
      "List what an archive holds, or what compress would do with a model (reads headers only)", kExamples,
      {});
  auto path = std::make_shared<std::string>();
  command->add_option("IN", *path, "archive, or a model as compress takes it")->type_name("")->required();
  session.on_command(command, [&session, path] { return run_inspect(session, *path); });
}

}  // namespace llmcodec::cli
