// SPDX-License-Identifier: BSD-3-Clause
#include <filesystem>
#include <nlohmann/json.hpp>

#include "commands.h"

namespace llmcodec::cli {
namespace {

constexpr const char* kExamples =
    "  llmcodec extract SmolLM2.llmcodec.safetensors blk.0.ffn_up.weight -o ffn_up.266 && ffplay ffn_up.266\n"
    "  llmcodec extract SmolLM2.llmcodec.safetensors blk.0.ffn_up.weight -o ffn_up.raw --samples\n"
    "  llmcodec extract SmolLM2.llmcodec.safetensors token_embd.weight -o rows.safetensors --rows 500:516";

// "FIRST:LAST"
std::string check_row_range(const std::string& text) {
  const size_t colon = text.find(':');
  const auto is_number = [](const std::string& part) {
    return !part.empty() && part.size() <= 15 && part.find_first_not_of("0123456789") == std::string::npos;
  };
  const bool good =
      colon != std::string::npos && is_number(text.substr(0, colon)) && is_number(text.substr(colon + 1));
  return good ? "" : "'" + text + "' is not FIRST:LAST, two numbers of rows";
}

RowRange row_range(const std::string& text) {
  return {std::stoull(text), std::stoull(text.substr(text.find(':') + 1))};
}

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
      app, "extract", "Take the video stream or some rows of one tensor out of an archive", kExamples,
      kAllSharedOptions);
  auto options = std::make_shared<ExtractOptions>();
  command->add_option("IN", options->input, "archive")->type_name("")->required();
  command->add_option("TENSOR", options->tensor, "name of a tensor; only coded ones have a stream")
      ->type_name("")
      ->required();
  command->add_option("-o,--output", options->output, "the elementary stream")->type_name("FILE")->required();
  CLI::Option* samples = command->add_flag("--samples", options->samples,
                                           "the decoded planes instead (docs/format.md, \"samples\")");
  command
      ->add_option_function<std::string>(
          "--rows", [options](const std::string& text) { options->rows = row_range(text); },
          "these rows of weights instead, LAST not among them, as safetensors; decodes no others")
      ->type_name("FIRST:LAST")
      ->check(CLI::Validator(check_row_range, ""))
      ->excludes(samples);
  session.on_command(command, [&session, options] { return run_extract(session, *options); });
}

}  // namespace llmcodec::cli
