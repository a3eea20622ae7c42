// SPDX-License-Identifier: BSD-3-Clause
#include "base/error.h"
#include "base/printable.h"
#include "llmcodec/vvc_video.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "text_format.h"

namespace llmcodec::cli {
namespace {

using nlohmann::json;

constexpr const char* kEncodeExamples =
    "  llmcodec vvc encode noise.yuv --size 640x300 --bit-depth 10 --qp 30 -o noise.266 && ffplay noise.266\n"
    "  llmcodec vvc encode noise.yuv --size 640x300 --bit-depth 8 --qp 22 --pictures 2 -o two.266\n"
    "  llmcodec vvc encode noise.yuv --size 64x64 --bit-depth 8 --qp 22 -o noise.266 --trace encoder.trace";

constexpr const char* kDecodeExamples =
    "  llmcodec vvc decode noise.266 -o noise.yuv\n"
    "  llmcodec vvc decode noise.266 --md5\n"
    "  llmcodec vvc decode noise.266 --md5 --trace decoder.trace && "
    "tools/vvc_trace_diff.py encoder.trace decoder.trace";

VvcControl vvc_control(const Control& control, const std::string& file) {
  VvcControl result{.progress = {}, .cancelled = control.cancelled};
  if (control.progress)
    result.progress = [report = control.progress, file](uint64_t done, uint64_t total) {
      report({"encode", done, total, file});
    };
  return result;
}

std::string pictures_text(uint64_t count, const PictureFormat& format) {
  return fmt::format("{} picture{} of {}x{}, {} bits", count, count == 1 ? "" : "s", format.width,
                     format.height, format.bit_depth);
}

json format_json(const PictureFormat& format, uint64_t pictures, uint64_t samples, uint64_t bytes,
                 double seconds) {
  return {{"width", format.width}, {"height", format.height}, {"bit_depth", format.bit_depth},
          {"pictures", pictures},  {"samples", samples},      {"bytes", bytes},
          {"seconds", seconds}};
}

Status run_encode(Session& session, VvcEncodeOptions options, const std::string& size) {
  LLMC_ASSIGN_OR_RETURN(const PlaneSize plane, parse_plane_size(size));
  options.format.width = plane.width;
  options.format.height = plane.height;
  options.control = vvc_control(session.control(), options.input);
  LLMC_ASSIGN_OR_RETURN(const VvcEncodeReport report, vvc_encode(options));
  if (session.json()) {
    json value = format_json(report.format, report.pictures, report.samples, report.bytes, report.seconds);
    value["bits_per_sample"] = report.bits_per_sample;
    value["mse"] = report.mse;
    value["psnr_db"] = std::isfinite(report.psnr_db) ? json(report.psnr_db) : json();
    session.print_json(value.dump());
    return Status::ok();
  }
  session.print(fmt::format("{}: {}: {} bytes, {:.4f} bits per sample, PSNR {} dB; {}\n",
                            printable(options.output), pictures_text(report.pictures, report.format),
                            grouped(report.bytes), report.bits_per_sample, decimals(report.psnr_db, 3),
                            short_duration(report.seconds)));
  return Status::ok();
}

Status run_decode(Session& session, VvcDecodeOptions options) {
  if (options.output.empty() && !options.md5)
    return error(ErrorKind::kInvalidArgument,
                 "nothing to do: -o FILE, --md5 or both (llmcodec vvc decode --help)");
  options.control = vvc_control(session.control(), options.input);
  LLMC_ASSIGN_OR_RETURN(const VvcDecodeReport report, vvc_decode(options));
  if (session.json()) {
    json value = format_json(report.format, report.pictures, report.samples, report.bytes, report.seconds);
    value["hashes_checked"] = report.hashes_checked;
    if (options.md5) value["md5"] = report.md5;
    session.print_json(value.dump());
    return Status::ok();
  }
  if (!options.output.empty())
    session.note(fmt::format("{}: {}, {} hashes agree; {}", options.output,
                             pictures_text(report.pictures, report.format), report.hashes_checked,
                             short_duration(report.seconds)));
  if (options.md5) session.print(fmt::format("{}  {}\n", report.md5, printable(options.input)));
  return Status::ok();
}

void add_encode(CLI::App& app, Session& session) {
  CLI::App* command = session.add_command(app, "encode", "Raw luma samples to an H.266 stream",
                                          kEncodeExamples, {.progress = true});
  auto options = std::make_shared<VvcEncodeOptions>();
  auto size = std::make_shared<std::string>();
  command->add_option("IN", options->input, "samples: bytes at 8 bits, 16 bits little-endian above")
      ->type_name("")
      ->required();
  command->add_option("-o,--output", options->output, "the stream")->type_name("FILE")->required();
  command->add_option("--size", *size, "of a picture, in samples")->type_name("WxH")->required();
  one_of(command->add_option("--bit-depth", options->format.bit_depth, "of the samples"), {"8", "10"})
      ->required();
  command->add_option("--qp", options->qp, "0 to 63, from -12 on at 10 bits; 6 more double the step")
      ->type_name("N")
      ->check(integer_between(-12, 63))
      ->required();
  command->add_option("--pictures", options->pictures, "the first N pictures; default: all of the file")
      ->type_name("N")
      ->check(integer_between(1, UINT32_MAX));
  command->add_option("--slice-rows", options->slice_ctu_rows, "rows of 128x128 blocks a slice; default: all")
      ->type_name("N")
      ->check(integer_between(1, 1 << 20));
  command->add_option("--trace", options->trace, "a line for every syntax element")->type_name("FILE");
  session.on_command(command, [&session, options, size] { return run_encode(session, *options, *size); });
}

void add_decode(CLI::App& app, Session& session) {
  CLI::App* command =
      session.add_command(app, "decode", "An H.266 stream to raw luma samples (docs/vvc-profile.md)",
                          kDecodeExamples, {.progress = true});
  auto options = std::make_shared<VvcDecodeOptions>();
  command->add_option("IN", options->input, "Annex B byte stream")->type_name("")->required();
  command->add_option("-o,--output", options->output, "samples: bytes at 8 bits, 16 bits little-endian above")
      ->type_name("FILE");
  command->add_flag("--md5", options->md5, "print the MD5 of the samples");
  command->add_option("--trace", options->trace, "a line for every syntax element")->type_name("FILE");
  session.on_command(command, [&session, options] { return run_decode(session, *options); });
}

}  // namespace

void add_vvc(CLI::App& app, Session& session) {
  CLI::App* command = app.add_subcommand("vvc", "Our VVC codec alone: encode and decode raw video");
  command->require_subcommand(1);
  add_encode(*command, session);
  add_decode(*command, session);
}

}  // namespace llmcodec::cli
