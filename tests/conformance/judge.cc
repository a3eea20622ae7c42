// SPDX-License-Identifier: BSD-3-Clause
#include "judge.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "../unit/vvc/foreign_decoder.h"
#include "base/error.h"
#include "base/file.h"

namespace llmcodec::vvc {
namespace {

std::vector<uint16_t> unpack(std::span<const std::byte> bytes, int bit_depth) {
  std::vector<uint16_t> samples(bytes.size() / (bit_depth == 8 ? 1 : 2));
  for (size_t i = 0; i < samples.size(); ++i) {
    if (bit_depth == 8)
      samples[i] = std::to_integer<uint16_t>(bytes[i]);
    else
      std::memcpy(&samples[i], &bytes[2 * i], 2);
  }
  return samples;
}

// vvdecapp reads files only.
class StreamFile {
 public:
  StreamFile() {
    const int file = ::mkstemps(path_.data(), 4);
    if (file >= 0) ::close(file);
  }
  ~StreamFile() { std::remove(path_.c_str()); }
  StreamFile(const StreamFile&) = delete;
  StreamFile& operator=(const StreamFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_ = testing_folder() + "/llmcodec-judge-XXXXXX.266";
  static std::string testing_folder() {
    const char* named = std::getenv("TMPDIR");
    return named != nullptr ? named : "/tmp";
  }
};

// Verbosity 1: errors only, among them a picture that does not match its hash (--SEIDecodedPictureHash).
Result<std::vector<uint16_t>> decode_with_vvdec(const std::string& program, std::span<const std::byte> stream,
                                                int bit_depth) {
  const StreamFile file;
  LLMC_RETURN_IF_ERROR(write_file(file.path(), stream));
  LLMC_ASSIGN_OR_RETURN(
      const ProcessResult result,
      run_process({.arguments = {program, "-b", file.path(), "-o", "-", "-t", "1", "-v", "1", "-dph"},
                   .timeout_seconds = 120}));
  if (result.exit_code != 0 || !result.error_text.empty())
    return error(ErrorKind::kCorrupt, "vvdecapp: {} {}", result.exit_code, result.error_text);
  return unpack(result.output, bit_depth);
}

std::vector<Judge> find_judges() {
  Judge ffmpeg{"ffmpeg", foreign_decoder().empty() ? "no FFmpeg with a VVC decoder: set LLMCODEC_FFMPEG" : "",
               decode_foreign};
  const char* program = std::getenv("LLMCODEC_VVDEC");
  Judge vvdec{"vvdec", program == nullptr ? "no VVdeC: set LLMCODEC_VVDEC to its vvdecapp" : "", nullptr};
  vvdec.decode = [path = std::string(program == nullptr ? "" : program)](std::span<const std::byte> stream,
                                                                         int bit_depth) {
    return decode_with_vvdec(path, stream, bit_depth);
  };
  return {ffmpeg, vvdec};
}

}  // namespace

const std::vector<Judge>& judges() {
  static const std::vector<Judge> kJudges = find_judges();
  return kJudges;
}

}  // namespace llmcodec::vvc
