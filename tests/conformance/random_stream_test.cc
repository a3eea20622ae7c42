// SPDX-License-Identifier: BSD-3-Clause
// Random streams over our whole subset, judged twice: our decoder, and FFmpeg's where there is one. Quick
// tier: 60 streams each; LLMCODEC_RANDOM_STREAMS sets another number.
#include "random_stream.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "../unit/vvc/foreign_decoder.h"
#include "vvc/decoder.h"
#include "vvc/hash.h"

namespace llmcodec::vvc {
namespace {

uint32_t rounds() {
  const char* text = std::getenv("LLMCODEC_RANDOM_STREAMS");
  return text == nullptr ? 60 : static_cast<uint32_t>(std::strtoul(text, nullptr, 10));
}

// Position of the first sample that differs, or -1.
int64_t first_difference(PlaneView a, PlaneView b) {
  for (size_t y = 0; y < a.rows; ++y)
    for (size_t x = 0; x < a.cols; ++x)
      if (a.at(y, x) != b.at(y, x)) return static_cast<int64_t>(y * a.cols + x);
  return -1;
}

TEST(RandomStream, OurDecoderGivesTheSamples) {
  for (uint32_t seed = 0; seed < rounds(); ++seed) {
    const RandomStream stream = random_stream(seed);
    auto video = decode(stream.bytes);
    ASSERT_TRUE(video.is_ok()) << seed << ": " << stream.description << ": " << video.error().to_string();
    ASSERT_EQ(video->pictures.size(), stream.pictures.size()) << seed;
    EXPECT_EQ(video->hashes_checked, stream.pictures.size()) << seed;
    for (size_t i = 0; i < stream.pictures.size(); ++i)
      ASSERT_EQ(first_difference(std::as_const(video->pictures[i]).view(), stream.pictures[i].view()), -1)
          << seed << ": " << stream.description;
  }
}

std::string digest(const std::vector<Plane>& pictures) {
  Md5 hash;
  for (const Plane& picture : pictures)
    hash.update(std::as_bytes(std::span(picture.view().data, picture.view().size())));
  std::string text;
  for (std::byte byte : hash.finish()) text += fmt::format("{:02x}", std::to_integer<int>(byte));
  return text;
}

// Lines "SEED MD5" of the decoded samples (16 bits each, little-endian), written when FFmpeg 8.0 agreed with
// them.
TEST(RandomStream, SamplesAreThoseThatFfmpegConfirmed) {
  std::ifstream file(LLMCODEC_TEST_DATA "/vvc/random_streams.md5");
  uint32_t seed = 0;
  std::string expected;
  uint32_t checked = 0;
  while (file >> seed >> expected) {
    auto video = decode(random_stream(seed).bytes);
    ASSERT_TRUE(video.is_ok()) << seed << ": " << video.error().to_string();
    EXPECT_EQ(digest(video->pictures), expected) << "seed " << seed;
    ++checked;
  }
  EXPECT_GE(checked, 30u);
}

// A trace of the writer and one of the reader name the same elements with the same values in the same order;
// the reader adds derived values, which the comparison leaves out.
TEST(RandomStream, WriterAndReaderTraceTheSameElements) {
  for (uint32_t seed = 0; seed < 12; ++seed) {
    MemoryTrace writer, reader;
    const RandomStream stream = random_stream(seed, &writer);
    ASSERT_TRUE(decode(stream.bytes, {.limits = {}, .check_hash = true, .trace = &reader}).is_ok());
    std::vector<MemoryTrace::Line> read;
    for (const MemoryTrace::Line& line : reader.lines()) {
      const bool derived = line.name.starts_with("TU ") || line.name == "IntraPredModeY" ||
                           line.name == "QpY" || line.name == "TransCoeffLevel";
      if (!derived) read.push_back(line);
    }
    ASSERT_EQ(read.size(), writer.lines().size()) << seed;
    for (size_t i = 0; i < read.size(); ++i) {
      ASSERT_EQ(read[i].name, writer.lines()[i].name) << seed << " element " << i;
      ASSERT_EQ(read[i].value, writer.lines()[i].value) << seed << ' ' << read[i].name;
    }
  }
}

TEST(RandomStream, ForeignDecoderGivesTheSamples) {
  if (foreign_decoder().empty()) GTEST_SKIP() << "no FFmpeg with a VVC decoder: set LLMCODEC_FFMPEG";
  uint32_t judged = 0;
  for (uint32_t seed = 0; seed < rounds(); ++seed) {
    const RandomStream stream = random_stream(seed);
    if (!stream.foreign_trouble.empty()) continue;
    ++judged;
    auto samples = decode_foreign(stream.bytes, static_cast<int>(stream.format.bit_depth));
    EXPECT_TRUE(samples.is_ok()) << seed << ": " << stream.description << ": " << samples.error().to_string();
    if (!samples.is_ok()) continue;
    EXPECT_EQ(samples->size(), stream.format.samples() * stream.pictures.size())
        << seed << ": " << stream.description;
    if (samples->size() != stream.format.samples() * stream.pictures.size()) continue;
    for (size_t i = 0; i < stream.pictures.size(); ++i) {
      const PlaneView theirs(samples->data() + i * stream.format.samples(), stream.format.height,
                             stream.format.width);
      EXPECT_EQ(first_difference(theirs, stream.pictures[i].view()), -1)
          << seed << ": " << stream.description;
    }
  }
}

}  // namespace
}  // namespace llmcodec::vvc
