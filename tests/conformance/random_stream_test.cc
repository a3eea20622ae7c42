// SPDX-License-Identifier: BSD-3-Clause
// Random streams over our whole subset, and random content through our encoders, judged by our decoder and,
// where they are, by foreign ones: FFmpeg's (LLMCODEC_FFMPEG) and VVdeC (LLMCODEC_VVDEC=/path/to/vvdecapp).
// Quick tier: 60 streams each; LLMCODEC_RANDOM_STREAMS sets another number.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "../unit/vvc/decoded_video.h"
#include "../unit/vvc/memory_trace.h"
#include "base/error.h"
#include "encoded_stream.h"
#include "judge.h"
#include "random_stream.h"
#include "vvc/stream/hash.h"

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

void expect_pictures(const std::vector<Plane>& decoded, const RandomStream& stream, uint32_t seed) {
  ASSERT_EQ(decoded.size(), stream.pictures.size()) << seed << ": " << stream.description;
  for (size_t i = 0; i < decoded.size(); ++i)
    ASSERT_EQ(first_difference(decoded[i].view(), stream.pictures[i].view()), -1)
        << seed << ": " << stream.description;
}

TEST(RandomStream, our_decoder_gives_the_samples) {
  for (uint32_t seed = 0; seed < rounds(); ++seed) {
    const RandomStream stream = random_stream(seed);
    auto video = decode_video(stream.bytes);
    ASSERT_TRUE(video.is_ok()) << seed << ": " << stream.description << ": " << video.error().to_string();
    EXPECT_EQ(video->hashes_checked, stream.pictures.size()) << seed;
    expect_pictures(video->pictures, stream, seed);
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

// Lines "SEED MD5" of the decoded samples (16 bits each, little-endian),
// written when FFmpeg 8.0 agreed with them.
TEST(RandomStream, samples_are_those_that_ffmpeg_confirmed) {
  std::ifstream file(LLMCODEC_TEST_DATA "/vvc/random_streams.md5");
  uint32_t seed = 0;
  std::string expected;
  uint32_t checked = 0;
  while (file >> seed >> expected) {
    auto video = decode_video(random_stream(seed).bytes);
    ASSERT_TRUE(video.is_ok()) << seed << ": " << video.error().to_string();
    EXPECT_EQ(digest(video->pictures), expected) << "seed " << seed;
    ++checked;
  }
  EXPECT_GE(checked, 30u);
}

// A trace of the writer and one of the reader name the same elements with the same values in the same order;
// the reader adds derived values, which the comparison leaves out.
TEST(RandomStream, writer_and_reader_trace_the_same_elements) {
  for (uint32_t seed = 0; seed < 12; ++seed) {
    MemoryTrace writer, reader;
    const RandomStream stream = random_stream(seed, &writer);
    ASSERT_TRUE(decode_video(stream.bytes, {.limits = {}, .check_hash = true, .trace = &reader}).is_ok());
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

// --- what our encoders write, and the judges

TEST(EncodedStream, our_decoder_gives_the_reconstruction) {
  for (uint32_t seed = 0; seed < rounds(); ++seed) {
    const RandomStream stream = encoded_stream(seed);
    auto video = decode_video(stream.bytes);
    ASSERT_TRUE(video.is_ok()) << seed << ": " << stream.description << ": " << video.error().to_string();
    expect_pictures(video->pictures, stream, seed);
  }
}

using Source = RandomStream (*)(uint32_t seed);
RandomStream of_the_whole_syntax(uint32_t seed) {
  return random_stream(seed);
}

class ForeignJudge : public testing::TestWithParam<std::tuple<size_t, Source>> {};

// One message per stream: what the judge shows must be our samples, all of them.
std::string verdict(const Judge& judge, const RandomStream& stream) {
  auto samples = judge.decode(stream.bytes, static_cast<int>(stream.format.bit_depth));
  if (!samples.is_ok()) return samples.error().to_string();
  const uint64_t size = stream.format.samples();
  if (samples->size() != size * stream.pictures.size()) return fmt::format("{} samples", samples->size());
  for (size_t i = 0; i < stream.pictures.size(); ++i) {
    const PlaneView theirs(samples->data() + i * size, stream.format.height, stream.format.width);
    const int64_t at = first_difference(theirs, stream.pictures[i].view());
    if (at >= 0) return fmt::format("picture {} differs at sample {}", i, at);
  }
  return {};
}

TEST_P(ForeignJudge, shows_our_samples) {
  const Judge& judge = judges()[std::get<0>(GetParam())];
  if (!judge.missing.empty()) GTEST_SKIP() << judge.missing;
  uint64_t streams = 0, pictures = 0, samples = 0, left_out = 0;
  for (uint32_t seed = 0; seed < rounds(); ++seed) {
    const RandomStream stream = std::get<1>(GetParam())(seed);
    if (stream.foreign_trouble.contains(judge.name)) {
      ++left_out;
      continue;
    }
    ++streams;
    pictures += stream.pictures.size();
    samples += stream.format.samples() * stream.pictures.size();
    EXPECT_EQ(verdict(judge, stream), "") << "seed " << seed << ": " << stream.description;
  }
  std::printf("%s: %llu streams, %llu pictures, %llu samples; %llu streams left out\n", judge.name.c_str(),
              static_cast<unsigned long long>(streams), static_cast<unsigned long long>(pictures),
              static_cast<unsigned long long>(samples), static_cast<unsigned long long>(left_out));
  EXPECT_GT(streams, 0u);
}

INSTANTIATE_TEST_SUITE_P(Streams, ForeignJudge,
                         testing::Combine(testing::Range(size_t{0}, judges().size()),
                                          testing::Values(Source{of_the_whole_syntax},
                                                          Source{encoded_stream})),
                         [](const auto& test) {
                           const bool encoded = std::get<1>(test.param) == Source{encoded_stream};
                           return judges()[std::get<0>(test.param)].name + (encoded ? "_encoded" : "_syntax");
                         });

}  // namespace
}  // namespace llmcodec::vvc
