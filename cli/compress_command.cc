// SPDX-License-Identifier: BSD-3-Clause
#include "base/error.h"
#include "base/printable.h"
#include "commands.h"
#include "compress_options.h"
#include "peak_memory.h"
#include "source_summary.h"
#include "tensor_table.h"
#include "text_format.h"

namespace llmcodec::cli {
namespace {

constexpr const char* kExamples =
    "  llmcodec compress SmolLM2.gguf -o SmolLM2.llmcodec.safetensors --bpw 3\n"
    "  llmcodec compress ./Llama-3-8B -o ./Llama-3-8B.llmcodec --size 3.2GB --shard-size 2GB\n"
    "  llmcodec compress model.safetensors -o small.safetensors --codec libx265:preset=medium --snr 15 "
    "--keep 'lm_head'\n"
    "  llmcodec compress model.gguf -o model.safetensors --bpw 2.5 --calibrate self\n"
    "  llmcodec compress model.gguf -o model.safetensors --importance imatrix.gguf --set "
    "'ffn_down=step_octaves:-0.3'";

std::string summary(const std::string& output, const CompressReport& report) {
  std::string text = fmt::format("{}: {} bytes, {:.3f} bpw (weights alone {:.3f}), SNR {} dB, {}\n",
                                 printable(output), grouped(report.bytes), report.bpw, report.bpw_weights,
                                 decimals(report.snr_db, 2), coded_count(report.tensors));
  text += parts_lines(report.parts) + products_line(report.products) + carried_line(report.carried_files);
  return text + fmt::format("fit {}, rate {}, encode {}, in all {}; peak memory {}{}\n",
                            short_duration(report.fit_seconds), short_duration(report.rate_seconds),
                            short_duration(report.encode_seconds), short_duration(report.wall_seconds),
                            short_bytes(peak_memory_bytes()),
                            report.resumed ? "; went on from an interrupted run" : "");
}

Status run_compress(Session& session, const CompressArguments& arguments) {
  CompressOptions options = resolved(arguments);
  options.command = session.recorded_command();
  options.control = session.control();
  if (arguments.dry_run) return show_source(session, options);
  if (options.output.empty()) return error(ErrorKind::kInvalidArgument, "-o OUT is required");
  LLMC_RETURN_IF_ERROR(calibrate_for(session, arguments, &options));
  LLMC_ASSIGN_OR_RETURN(const CompressReport report, compress(options));
  for (const std::string& note : report.notes) session.note("note: " + note);
  if (session.json()) {
    session.print_json(report.to_json());
  } else {
    session.print(summary(options.output, report));
  }
  return Status::ok();
}

}  // namespace

void add_compress(CLI::App& app, Session& session) {
  CLI::App* command = session.add_command(app, "compress", "Code the tensors of a model as video", kExamples,
                                          kAllSharedOptions);
  auto arguments = std::make_shared<CompressArguments>();
  add_compress_options(*command, *arguments);
  command
      ->add_option("-o,--output", arguments->options.output,
                   "archive: a file; a folder for folders and shards")
      ->type_name("OUT");
  command->add_flag("--dry-run", arguments->dry_run,
                    "only list the tensors: which would be coded, which stored exactly, and why");
  command->add_flag("--restart", arguments->options.restart,
                    "throw an interrupted run away instead of going on with it");
  session.on_command(command, [&session, arguments] { return run_compress(session, *arguments); });
}

}  // namespace llmcodec::cli
