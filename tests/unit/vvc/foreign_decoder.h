// SPDX-License-Identifier: BSD-3-Clause
// The judge of our streams: FFmpeg's own VVC decoder, as $LLMCODEC_FFMPEG or from PATH. One thread: with
// several, FFmpeg 8.0 decodes pictures narrower than a CTU wrongly now and then.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/subprocess.h"

namespace llmcodec::vvc {

// Path of an FFmpeg that decodes VVC; empty if there is none.
inline const std::string& foreign_decoder() {
  static const std::string path = [] {
    const char* named = std::getenv("LLMCODEC_FFMPEG");
    std::string program = named != nullptr ? named : find_program("ffmpeg");
    if (program.empty()) return program;
    auto result = run_process({.arguments = {program, "-hide_banner", "-decoders"}});
    if (!result.is_ok()) return std::string();
    const std::string text(reinterpret_cast<const char*>(result->output.data()), result->output.size());
    return text.find(" vvc ") == std::string::npos ? std::string() : program;
  }();
  return path;
}

// All samples of all pictures of an Annex B stream, cropped by the conformance window, in output order.
inline Result<std::vector<uint16_t>> decode_foreign(std::span<const std::byte> stream, int bit_depth) {
  LLMC_ASSIGN_OR_RETURN(
      const ProcessResult result,
      run_process({.arguments = {foreign_decoder(), "-v", "error", "-threads", "1", "-f", "vvc", "-i", "-",
                                 "-f", "rawvideo", "-pix_fmt", bit_depth == 8 ? "gray" : "gray10le", "-"},
                   .input = stream,
                   .timeout_seconds = 120}));
  if (result.exit_code != 0 || !result.error_text.empty())
    return error(ErrorKind::kCorrupt, "ffmpeg: {} {}", result.exit_code, result.error_text);
  std::vector<uint16_t> samples(result.output.size() / (bit_depth == 8 ? 1 : 2));
  for (size_t i = 0; i < samples.size(); ++i) {
    if (bit_depth == 8)
      samples[i] = static_cast<uint8_t>(result.output[i]);
    else
      std::memcpy(&samples[i], &result.output[2 * i], 2);
  }
  return samples;
}

}  // namespace llmcodec::vvc
