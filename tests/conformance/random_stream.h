// SPDX-License-Identifier: BSD-3-Clause
// Random but valid streams over all of our subset of H.266, with the samples that they must decode to.
// Decisions are drawn from a seeded generator, not from any content:
// every split, mode, reference line, QP and level that the syntax allows turns up,
// far more often than in streams of an encoder that wants to be good.
//
//   RandomStream stream = random_stream(seed);
//   // every decoder must find stream.pictures in stream.bytes
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "llmcodec/plane.h"
#include "vvc/stream/trace.h"

namespace llmcodec::vvc {

struct RandomStream {
  std::string description;  // of its settings, for failure messages
  PictureFormat format;     // after the conformance window
  std::vector<std::byte> bytes;
  std::vector<Plane> pictures;  // after the conformance window
  // Judge ("ffmpeg", "vvdec") to why it does not decode this stream although it is valid.
  std::map<std::string, std::string> foreign_trouble;
};

// The same seed gives the same stream on every machine. `trace` gets every syntax element in stream order.
RandomStream random_stream(uint32_t seed, TraceSink* trace = nullptr);

}  // namespace llmcodec::vvc
