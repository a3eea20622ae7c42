// SPDX-License-Identifier: BSD-3-Clause
#include "compress_options.h"

#include "base/error.h"
#include "llmcodec/calibrate.h"

namespace llmcodec::cli {
namespace {

void add_target(CLI::App& command, CompressArguments& arguments) {
  constexpr const char* kGroup = "Target (at most one; default 3 bits per weight)";
  CLI::Option* const targets[] = {
      command
          .add_option("--bpw", arguments.bpw, "bits per weight: 8 x bytes of the whole archive / parameters")
          ->check(positive_number()),
      command
          .add_option("--size", arguments.size,
                      "bytes of the whole archive; suffixes K M G (1000), KiB MiB GiB (1024)")
          ->transform(byte_size()),
      command.add_option("--snr", arguments.snr, "signal-to-noise ratio of the coded weights, dB"),
      command.add_option("--step", arguments.step, "quantiser step, in units of the normalised weights")
          ->check(positive_number())};
  for (CLI::Option* option : targets) {
    option->type_name(option->get_name() == "--size" ? "SIZE" : "NUMBER")->group(kGroup);
    for (CLI::Option* other : targets) {
      if (other != option) option->excludes(other);
    }
  }
}

void add_knowledge(CLI::App& command, CompressArguments& arguments) {
  constexpr const char* kGroup = "What is known of the inputs";
  CLI::Option* importance =
      command
          .add_option("--importance", arguments.options.importance,
                      "llama.cpp imatrix: which inputs matter; 'none': estimate nothing")
          ->type_name("FILE")
          ->group(kGroup);
  CLI::Option* hessian = command
                             .add_option("--hessian", arguments.options.hessian,
                                         "second moments of the inputs: closes the quantisation loop")
                             ->type_name("FILE")
                             ->group(kGroup);
  command
      .add_option(
          "--calibrate", arguments.calibrate,
          "measure both with PyTorch, on text that the model writes itself ('self') or a text; kept for "
          "the next run")
      ->type_name("self|FILE")
      ->excludes(importance)
      ->excludes(hessian)
      ->group(kGroup);
}

void add_coding(CLI::App& command, CompressOptions& options) {
  constexpr const char* kGroup = "Coding";
  command
      .add_option("--codec", options.codec, "codec and its options: NAME[:key=value,...] (llmcodec codecs)")
      ->type_name("SPEC")
      ->capture_default_str()
      ->group(kGroup);
  one_of(command.add_option("--layout", options.layout,
                            "weights as pixels (spatial) or as coefficients (spectral, vvc only)"),
         {"auto", "spatial", "spectral"})
      ->capture_default_str()
      ->group(kGroup);
  command.add_option("--scales", options.scales, "scales: auto, tensor, row, column, group:N, dual")
      ->type_name("KIND")
      ->capture_default_str()
      ->group(kGroup);
  command.add_flag("--asymmetric", options.asymmetric, "scales with a zero point")->group(kGroup);
  command
      .add_option("--bit-depth", options.bit_depth,
                  "of the samples, 8 to 16; default: the deepest up to 10 that the codec takes")
      ->type_name("N")
      ->check(integer_between(8, 16))
      ->group(kGroup);
}

void add_rules(CLI::App& command, CompressOptions& options) {
  constexpr const char* kGroup = "Tensors";
  repeatable(command.add_option("--set", options.set,
                                "setting of the tensors whose name matches (docs/plan.md); repeatable"))
      ->type_name("REGEX=key:value")
      ->group(kGroup);
  repeatable(command.add_option("--code", options.code,
                                "tensors to be coded though they are stored exactly by default; repeatable"))
      ->type_name("REGEX")
      ->group(kGroup);
  repeatable(command.add_option("--keep", options.keep, "tensors to be stored exactly; repeatable"))
      ->type_name("REGEX")
      ->group(kGroup);
  command.add_option("--plan", options.plan, "a plan written by `llmcodec plan`, used as it is")
      ->type_name("FILE")
      ->group(kGroup);
}

}  // namespace

void add_compress_options(CLI::App& command, CompressArguments& arguments) {
  command
      .add_option("IN", arguments.options.input,
                  "GGUF, safetensors, index of shards, Hugging Face folder, or pipeline")
      ->type_name("")
      ->required();
  add_target(command, arguments);
  add_coding(command, arguments.options);
  add_knowledge(command, arguments);
  add_rules(command, arguments.options);
  repeatable(
      command.add_option("--carry", arguments.options.carry,
                         "files of the folder to be carried along though they are left out by default: other "
                         "formats, training state; repeatable"))
      ->type_name("REGEX");
  command
      .add_option("--shard-size", arguments.options.shard_bytes,
                  "largest file of the archive; default: one file")
      ->type_name("SIZE")
      ->transform(byte_size());
}

CompressOptions resolved(const CompressArguments& arguments) {
  CompressOptions options = arguments.options;
  if (arguments.bpw) options.target = {TargetKind::kBpw, *arguments.bpw};
  if (arguments.size) options.target = {TargetKind::kSize, static_cast<double>(*arguments.size)};
  if (arguments.snr) options.target = {TargetKind::kSnr, *arguments.snr};
  if (arguments.step) options.target = {TargetKind::kStep, *arguments.step};
  return options;
}

Status calibrate_for(Session& session, const CompressArguments& arguments, CompressOptions* options) {
  if (arguments.calibrate.empty()) return Status::ok();
  CalibrationOptions calibration{.model = options->input, .threads = session.threads()};
  if (arguments.calibrate != "self") calibration.text_file = arguments.calibrate;
  calibration.line = [&session](const std::string& line) { session.note(line); };
  calibration.cancelled = options->control.cancelled;
  LLMC_ASSIGN_OR_RETURN(const CalibrationFiles files, calibrate(calibration));
  options->importance = files.imatrix;
  options->hessian = files.hessian;
  return Status::ok();
}

}  // namespace llmcodec::cli
