// SPDX-License-Identifier: BSD-3-Clause
// Foreign VVC decoders that judge our streams: FFmpeg ($LLMCODEC_FFMPEG or PATH) and VVdeC's vvdecapp
// ($LLMCODEC_VVDEC). Both run with one thread.
//
//   for (const Judge& judge : judges())
//     if (judge.missing.empty()) Result<std::vector<uint16_t>> samples = judge.decode(stream.bytes, 10);
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "llmcodec/status.h"

namespace llmcodec::vvc {

struct Judge {
  std::string name;     // as in RandomStream::foreign_trouble
  std::string missing;  // empty, or why it cannot be asked
  // All samples of all pictures of an Annex B stream, cut by the conformance window. Any complaint on
  // standard error or a picture that does not match its hash is an error.
  std::function<Result<std::vector<uint16_t>>(std::span<const std::byte> stream, int bit_depth)> decode;
};

const std::vector<Judge>& judges();

}  // namespace llmcodec::vvc
