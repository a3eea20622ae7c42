// SPDX-License-Identifier: BSD-3-Clause
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "commands.h"
#include "compress_options.h"
#include "tensor_table.h"
#include "text_format.h"

namespace llmcodec::cli {
namespace {

constexpr const char* kExamples =
    "  llmcodec plan model.gguf --bpw 3\n"
    "  llmcodec plan model.gguf --bpw 3 -o plan.json && $EDITOR plan.json\n"
    "  llmcodec compress model.gguf -o model.llmcodec.safetensors --plan plan.json";

Status run_plan(Session& session, const CompressArguments& arguments) {
  CompressOptions options = resolved(arguments);
  options.command = session.recorded_command();
  options.control = session.control();
  LLMC_RETURN_IF_ERROR(calibrate_for(session, arguments, &options));
  LLMC_ASSIGN_OR_RETURN(const PlanReport report, plan(options));
  for (const std::string& note : report.notes) session.note("note: " + note);
  if (session.json()) {
    nlohmann::json value = nlohmann::json::parse(report.to_json());
    value["plan"] = nlohmann::json::parse(report.plan);
    session.print_json(value.dump());
    return Status::ok();
  }
  session.print(tensor_table(report.tensors, {.role = true, .snr = true}));
  session.print(fmt::format(
      "\npredicted: {} bytes, {:.3f} bpw, SNR {} dB, {} to compress; {} parameters, {}\n",
      grouped(report.predicted_bytes), report.predicted_bpw, decimals(report.predicted_snr_db, 2),
      short_duration(report.predicted_seconds), grouped(report.parameters), coded_count(report.tensors)));
  session.print(parts_lines(report.parts));
  return Status::ok();
}

}  // namespace

void add_plan(CLI::App& app, Session& session) {
  CLI::App* command = session.add_command(app, "plan", "Say what compress would do: sizes, settings, time",
                                          kExamples, kAllSharedOptions);
  auto arguments = std::make_shared<CompressArguments>();
  add_compress_options(*command, *arguments);
  command
      ->add_option("-o,--output", arguments->options.output,
                   "write the plan, to be edited and given back with --plan")
      ->type_name("FILE");
  session.on_command(command, [&session, arguments] { return run_plan(session, *arguments); });
}

}  // namespace llmcodec::cli
