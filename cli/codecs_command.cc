// SPDX-License-Identifier: BSD-3-Clause
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/printable.h"
#include "commands.h"
#include "text_format.h"

namespace llmcodec::cli {
namespace {

using nlohmann::json;

constexpr const char* kExamples =
    "  llmcodec codecs\n"
    "  llmcodec codecs --ffmpeg /opt/ffmpeg/bin/ffmpeg --json";

std::string sizes_text(const CodecInfo& info) {
  const auto side = [](uint32_t pixels) { return pixels == 0 ? std::string("any") : std::to_string(pixels); };
  return fmt::format("{}x{}..{}x{}", info.min_width, info.min_height, side(info.max_width),
                     side(info.max_height));
}

std::string directions_text(const CodecStatus& status) {
  if (status.can_encode) return status.can_decode ? "both" : "encode";
  return status.can_decode ? "decode" : "-";
}

std::string quality_text(const QualityRange& quality) {
  if (quality.lossless_only) return "-";
  return fmt::format("{:g}..{:g}{}", quality.min, quality.max, quality.fixed_rate ? " (rate)" : "");
}

std::string codec_table(const std::vector<CodecStatus>& codecs) {
  TextTable table({{"codec"},
                   {"has"},
                   {"bits"},
                   {"chroma"},
                   {"lossless"},
                   {"stream"},
                   {"quality"},
                   {"picture sizes"},
                   {"version"}});
  std::string missing;
  for (const CodecStatus& codec : codecs) {
    const CodecInfo& info = codec.info;
    table.add({info.name, directions_text(codec), fmt::format("{}", fmt::join(info.bit_depths, " ")),
               info.chroma_420 ? "4:2:0" : "grey", info.lossless ? "yes" : "no", info.stream_format,
               quality_text(info.quality), sizes_text(info), info.version});
    if (!codec.missing_reason.empty())
      missing += fmt::format("  {}: {}\n", info.name, printable(codec.missing_reason));
  }
  std::string text = table.to_string();
  if (!missing.empty()) text += "\nMissing:\n" + missing;
  return text;
}

json codec_json(const CodecStatus& codec) {
  const CodecInfo& info = codec.info;
  json value = {{"name", info.name},
                {"version", info.version},
                {"can_encode", codec.can_encode},
                {"can_decode", codec.can_decode},
                {"stream_format", info.stream_format},
                {"bit_depths", info.bit_depths},
                {"chroma_420", info.chroma_420},
                {"lossless", info.lossless},
                {"exact_decoder", info.exact_decoder},
                {"min_size", {info.min_width, info.min_height}},
                {"max_size", {info.max_width, info.max_height}},
                {"missing_reason", codec.missing_reason}};
  if (!info.quality.lossless_only) value["quality"] = {info.quality.min, info.quality.max};
  return value;
}

Status run_codecs(Session& session) {
  const std::vector<CodecStatus> codecs = list_codecs(session.environment());
  if (!session.json()) {
    session.print(codec_table(codecs) +
                  fmt::format("\nSandbox of FFmpeg's processes: {}\n", codec_sandbox()));
    return Status::ok();
  }
  json list = json::array();
  for (const CodecStatus& codec : codecs) list.push_back(codec_json(codec));
  session.print_json(json{{"codecs", list}, {"sandbox", codec_sandbox()}}.dump(
      -1, ' ', false, json::error_handler_t::replace));
  return Status::ok();
}

}  // namespace

void add_codecs(CLI::App& app, Session& session) {
  CLI::App* command =
      session.add_command(app, "codecs", "List codecs: what could be used, what is here, why one is missing",
                          kExamples, {.ffmpeg = true, .timeout = true});
  session.on_command(command, [&session] { return run_codecs(session); });
}

}  // namespace llmcodec::cli
