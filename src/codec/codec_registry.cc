// SPDX-License-Identifier: BSD-3-Clause
// The registry: names to codecs. Our own codecs first; every other name is an encoder of FFmpeg's.
#include "base/error.h"
#include "base/sandbox.h"
#include "codec/ffmpeg_codec.h"
#include "codec/raw_codec.h"
#include "codec/vvc_adapter.h"
#include "llmcodec/codec.h"

namespace llmcodec {

Result<StreamLayout> Codec::layout(const PictureFormat& format) const {
  for (const uint32_t depth : info().bit_depths) {
    if (depth != format.bit_depth) continue;
    const std::string name = depth > 8 ? fmt::format("gray{}le", depth) : "gray";
    return StreamLayout{name, format.width, format.height, 0};
  }
  return error(ErrorKind::kInvalidArgument, "codec '{}' takes no samples of {} bits", info().name,
               format.bit_depth);
}

Result<std::unique_ptr<Codec>> open_codec(const std::string& spec, const CodecEnvironment& environment) {
  const std::string name = spec.substr(0, spec.find(':'));
  const std::string& own = environment.decode_only ? name : spec;  // no option of ours changes decoding
  if (name == "raw") return open_raw_codec(own);
  if (name == "vvc") return open_vvc_codec(own);
  return open_ffmpeg_codec(spec, environment);
}

std::vector<CodecStatus> list_codecs(const CodecEnvironment& environment) {
  std::vector<CodecStatus> list;
  list.push_back({raw_codec_info(), true, true, {}});
  list.push_back({vvc_codec_info(), true, true, {}});
  for (CodecStatus& status : list_ffmpeg_codecs(environment)) list.push_back(std::move(status));
  return list;
}

std::string codec_sandbox() {
  return sandbox_state();
}

}  // namespace llmcodec
