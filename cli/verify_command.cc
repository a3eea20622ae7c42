// SPDX-License-Identifier: BSD-3-Clause
#include "base/error.h"
#include "base/printable.h"
#include "commands.h"
#include "peak_memory.h"
#include "tensor_table.h"
#include "text_format.h"

namespace llmcodec::cli {
namespace {

constexpr const char* kExamples =
    "  llmcodec verify SmolLM2.llmcodec.safetensors\n"
    "  llmcodec verify SmolLM2.llmcodec.safetensors --against SmolLM2.gguf";

// What is said of the files beside the archive; nothing where there are none.
std::string carried_files_line(const VerifyReport& report) {
  if (report.carried_files == "checked")
    return fmt::format("{} carried files agree with their checksums\n", report.carried_checked);
  if (report.carried_files == "not covered")
    return "carried files not covered: an archive of format version 2 has no checksums of them\n";
  if (report.carried_files == "not given")
    return "carried files not looked at: name the archive's folder to have them checked\n";
  return "";
}

Status run_verify(Session& session, VerifyOptions options) {
  options.control = session.control();
  LLMC_ASSIGN_OR_RETURN(const VerifyReport report, verify(options));
  if (session.json()) {
    session.print_json(report.to_json());
    return Status::ok();
  }
  if (report.compared) {
    session.print(tensor_table(report.tensors, {.snr = true, .errors = true, .outliers = true}) + "\n");
    session.print(fmt::format("SNR {} dB, relative MSE {:.4g}, largest error {:.4g}, cosine {:.6f}\n",
                              decimals(report.snr_db, 3), report.relative_mse, report.max_abs_error,
                              report.cosine));
    session.print(products_line(report.products));
  }
  session.print(
      fmt::format("{}: sound; {} parameters, {}, every checksum agrees; decoded in {}, peak memory {}\n",
                  printable(options.input), grouped(report.parameters), coded_count(report.tensors),
                  short_duration(report.decode_seconds), short_bytes(peak_memory_bytes())));
  session.print(carried_files_line(report));
  session.print(fmt::format("sandbox of FFmpeg's processes: {}\n", report.sandbox));
  return Status::ok();
}

}  // namespace

void add_verify(CLI::App& app, Session& session) {
  CLI::App* command = session.add_command(
      app, "verify", "Check every checksum of an archive; measure its error", kExamples, kAllSharedOptions);
  auto options = std::make_shared<VerifyOptions>();
  command->add_option("IN", options->input, "archive")->type_name("")->required();
  command->add_option("--against", options->against, "the original model: errors per tensor and overall")
      ->type_name("ORIGINAL");
  session.on_command(command, [&session, options] { return run_verify(session, *options); });
}

}  // namespace llmcodec::cli
