// SPDX-License-Identifier: BSD-3-Clause
#include "base/error.h"
#include "llmcodec/bench.h"

#include "commands.h"
#include "llmcodec/read_tensor.h"
#include "text_format.h"

namespace llmcodec::cli {
namespace {

constexpr const char* kExamples =
    "  llmcodec bench --codec vvc --codec libx265:preset=medium --bpw 2,3,4\n"
    "  llmcodec bench --codec libvvenc:preset=faster --source laplace --size 2048x512\n"
    "  llmcodec bench --codec vvc --source model.gguf:blk.0.ffn_up.weight --json";

struct BenchArguments {
  std::vector<std::string> codecs;
  std::string layout = "spatial";
  std::vector<std::string> sources = {"gaussian"};
  std::vector<double> bpw = {2, 3, 4};
  std::string size = "1024";
  uint64_t seed = 1;
  uint32_t bit_depth = 0;
};

// "gaussian", "laplace" (or "laplacian"), or FILE:TENSOR; the last colon divides, tensor names hold none.
Result<BenchSource> open_source(const std::string& text, const BenchArguments& arguments) {
  LLMC_ASSIGN_OR_RETURN(const PlaneSize size, parse_plane_size(arguments.size));
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos)  // plane x = matrix row, so the width counts rows
    return make_bench_source(text == "laplace" ? "laplacian" : text, size.width, size.height, arguments.seed);
  LLMC_ASSIGN_OR_RETURN(TensorValues tensor, read_tensor(text.substr(0, colon), text.substr(colon + 1)));
  return BenchSource{text, tensor.rows, tensor.cols, std::move(tensor.values)};
}

// bench.h names the spectral layout as an option of vvc.
std::string with_layout(const std::string& codec, const std::string& layout) {
  const bool own = codec == "vvc" || codec.starts_with("vvc:");
  if (!own || layout == "spatial" || codec.find("layout=") != std::string::npos) return codec;
  return codec + (codec == "vvc" ? ":" : ",") + "layout=" + layout;
}

Status run_bench_command(Session& session, const BenchArguments& arguments) {
  std::vector<BenchSource> sources;
  for (const std::string& text : arguments.sources) {
    LLMC_ASSIGN_OR_RETURN(BenchSource source, open_source(text, arguments));
    sources.push_back(std::move(source));
  }
  BenchRequest request;
  for (const std::string& codec : arguments.codecs)
    request.codecs.push_back(with_layout(codec, arguments.layout));
  request.target_bpw = arguments.bpw;
  request.bit_depth = arguments.bit_depth;
  request.environment = session.environment();
  for (const BenchSource& source : sources) request.sources.push_back(source.view());
  if (!session.json())
    request.on_row = [&session](const BenchRow& row) {
      session.note(fmt::format("{} on {} at {:g} bpw: {}", row.codec, row.source, row.target_bpw,
                               row.bpw > 0 ? fmt::format("gap {:.3f} dB", row.gap_db) : row.note));
    };
  LLMC_ASSIGN_OR_RETURN(const std::vector<BenchRow> rows, run_bench(request));
  if (session.json()) {
    session.print_json("{\"rows\":" + format_bench_json(rows) + "}");
  } else {
    session.print(format_bench_table(rows));
  }
  return Status::ok();
}

}  // namespace

void add_bench(CLI::App& app, Session& session) {
  CLI::App* command =
      session.add_command(app, "bench", "Codecs against the rate-distortion bound, one thread each",
                          kExamples, {.ffmpeg = true, .timeout = true, .progress = true});
  auto arguments = std::make_shared<BenchArguments>();
  repeatable(command->add_option("--codec,--codecs", arguments->codecs, "NAME[:key=value,...]; repeatable"))
      ->type_name("SPEC")
      ->required();
  one_of(command->add_option("--layout", arguments->layout, "of vvc; the same as vvc:layout=spectral"),
         {"spatial", "spectral"})
      ->capture_default_str();
  repeatable(
      command->add_option("--source", arguments->sources, "gaussian, laplace or FILE:TENSOR; repeatable"))
      ->type_name("SOURCE")
      ->default_str("gaussian");
  command->add_option("--bpw", arguments->bpw, "bits per weight, separated by commas")
      ->type_name("LIST")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(positive_number())
      ->default_str("2,3,4");
  command->add_option("--size", arguments->size, "of generated planes")
      ->type_name("WxH")
      ->capture_default_str();
  command->add_option("--seed", arguments->seed, "of generated planes")
      ->type_name("N")
      ->capture_default_str();
  command
      ->add_option("--bit-depth", arguments->bit_depth,
                   "of the samples; default: the deepest up to 10 that the codec takes")
      ->type_name("N")
      ->check(integer_between(8, 16));
  session.on_command(command, [&session, arguments] { return run_bench_command(session, *arguments); });
}

}  // namespace llmcodec::cli
