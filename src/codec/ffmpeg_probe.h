// SPDX-License-Identifier: BSD-3-Clause
// What the ffmpeg program found on this machine is and has. Probed once per program and process; thread-safe.
//
// Example (const CodecEnvironment& environment):
//
//   LLMC_ASSIGN_OR_RETURN(const FfmpegProgram* ffmpeg, find_ffmpeg(environment));
//   if (!ffmpeg->encoders.contains("libvvenc"))
//     return error(ErrorKind::kUnsupported, "{} has no libvvenc", ffmpeg->path);
#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "base/sandbox.h"
#include "llmcodec/codec.h"
#include "llmcodec/status.h"

namespace llmcodec {

struct FfmpegProgram {
  std::string path;
  std::string version;                    // "n8.0", the word after "ffmpeg version"
  std::set<std::string> encoders;         // names of video encoders, FFmpeg's
  std::set<std::string> program_options;  // of ffmpeg itself, without the dash: "y", "map"
  std::set<std::string> decoders;         // names of codecs that can be decoded ("hevc"), not of decoders
};

// Looks at environment.ffmpeg, then $LLMCODEC_FFMPEG, then `ffmpeg` in PATH. Unsupported, with a hint what to
// install, when there is none, it cannot run, or it is older than 7.1 (without -noauto_conversion_filters in
// a usable form). Limit when it does not answer within environment.timeout_seconds, or a minute. The result
// lives as long as the process.
Result<const FfmpegProgram*> find_ffmpeg(const CodecEnvironment& environment);

// Every FFmpeg process runs in this. `work_bytes`: the memory that its pictures should need at most. The program
// itself reserves 0.6 GB of addresses, and SVT-AV1 1.8 GB for its threads (decision 043).
Sandbox ffmpeg_sandbox(uint64_t work_bytes);

// The last lines of FFmpeg's error text that say something, joined by "; ", at most about 400 characters.
std::string summarise_ffmpeg_errors(const std::string& error_text);

}  // namespace llmcodec
