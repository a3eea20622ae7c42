// SPDX-License-Identifier: BSD-3-Clause
#include <filesystem>
#include <nlohmann/json.hpp>

#include "commands.h"

namespace llmcodec::cli {
namespace {

constexpr const char* kExamples =
    "  llmcodec extract SmolLM2.llmcodec.safetensors blk.0.ffn_up.weight -o ffn_up.266 && ffplay ffn_up.266\n"
    "  llmcodec extract SmolLM2.llmcodec.safetensors blk.0.ffn_up.weight -o ffn_up.raw --samples";

Status run_extract(Session& session, ExtractOptions options) {
  options.control = session.control();
  LLMC_RETURN_IF_ERROR(extract(options));
  if (!session.json()) return Status::ok();
  std::error_code ignored;
  const nlohmann::json report = {{"tensor", options.tensor},
                                 {"output", options.output},
                                 {"bytes", std::filesystem::file_size(options.output, ignored)}};
  session.print_json(report.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
  return Status::ok();
}

}  // namespace

void add_extract(CLI::App& app, Session& session) {
  CLI::App* command = session.add_command(
      app, "extract", "Take the video stream of one tensor out of an archive", kExamples, kAllSharedOptions);
  auto options = std::make_shared<ExtractOptions>();
  command->add_option("IN", options->input, "archive")->type_name("")->required();
  command->add_option("TENSOR", options->tensor, "name of a coded tensor")->type_name("")->required();
  command->add_option("-o,--output", options->output, "the elementary stream")->type_name("FILE")->required();
  command->add_flag("--samples", options->samples,
                    "the decoded planes instead (docs/format.md, \"samples\")");
  session.on_command(command, [&session, options] { return run_extract(session, *options); });
}

}  // namespace llmcodec::cli
