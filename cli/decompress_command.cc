// SPDX-License-Identifier: BSD-3-Clause
#include "base/error.h"
#include "base/printable.h"
#include "commands.h"
#include "peak_memory.h"
#include "text_format.h"

namespace llmcodec::cli {
namespace {

constexpr const char* kExamples =
    "  llmcodec decompress SmolLM2.llmcodec.safetensors -o SmolLM2.gguf\n"
    "  llmcodec decompress SmolLM2.llmcodec.safetensors -o SmolLM2.gguf --dtype q8_0\n"
    "  llmcodec decompress ./Llama-3-8B.llmcodec -o ./Llama-3-8B.restored --dtype bf16 --shard-size 4GB\n"
    "  llmcodec decompress ./DeepSeek-V3.llmcodec -o ./DeepSeek-V3.restored --as-source  # FP8 as it was\n"
    "  llmcodec decompress big.llmcodec.safetensors -o big.gguf --shard-size 2G  # big-00001-of-0000N.gguf, "
    "...";

Status run_decompress(Session& session, DecompressOptions options) {
  options.control = session.control();
  LLMC_ASSIGN_OR_RETURN(const DecompressReport report, decompress(options));
  if (session.json()) {
    session.print_json(report.to_json());
    return Status::ok();
  }
  const double speed = static_cast<double>(report.parameters) / std::max(report.decode_seconds, 1e-9) / 1e6;
  std::string written = printable(report.output);
  if (report.files > 1) written += fmt::format(" ({} files)", report.files);
  session.print(fmt::format(
      "{}: {} parameters, {} bytes of tensors; decoded in {} ({:.1f} Mw/s), in all {}; peak memory {}\n",
      written, grouped(report.parameters), grouped(report.bytes), short_duration(report.decode_seconds),
      speed, short_duration(report.wall_seconds), short_bytes(peak_memory_bytes())));
  return Status::ok();
}

}  // namespace

void add_decompress(CLI::App& app, Session& session) {
  CLI::App* command =
      session.add_command(app, "decompress", "Restore a model from an archive", kExamples, kAllSharedOptions);
  auto options = std::make_shared<DecompressOptions>();
  command->add_option("IN", options->input, "archive: a file, an index of shards, or a folder")
      ->type_name("")
      ->required();
  command->add_option("-o,--output", options->output, "model: a file; a folder for folders and shards")
      ->type_name("OUT")
      ->required();
  one_of(command->add_option("--dtype", options->dtype,
                             "of the coded tensors; default: each tensor's own, F16 for GGUF blocks"),
         {"f32", "f16", "bf16", "q8_0"});
  command->add_flag("--saturate", options->saturate,
                    "clip weights that --dtype cannot hold; default: they are an error");
  command->add_flag("--as-source", options->as_source,
                    "what the source had in FP8 comes back in FP8, with its config; default: as BF16");
  one_of(command->add_option("--format", options->format,
                             "default: that of the source; gguf only from GGUF sources"),
         {"safetensors", "gguf"});
  command
      ->add_option("--shard-size", options->shard_bytes,
                   "largest file of tensors of a folder (default 5GB) or a GGUF model (default: one file)")
      ->type_name("SIZE")
      ->transform(byte_size());
  session.on_command(command, [&session, options] { return run_decompress(session, *options); });
}

}  // namespace llmcodec::cli
