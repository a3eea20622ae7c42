// SPDX-License-Identifier: BSD-3-Clause
// Our VVC through the codec interface: what our decoder gives, and FFmpeg's where it is at hand.
#include "codec/vvc_adapter.h"

#include <gtest/gtest.h>

#include "codec_test_util.h"

namespace llmcodec {
namespace {

std::unique_ptr<Codec> vvc(const std::string& spec = "vvc") {
  return std::move(open_codec(spec, {})).value();
}

TEST(VvcAdapter, finest_quality_keeps_pictures_of_odd_sizes) {
  for (const auto& [width, height] : {std::pair{1u, 1u}, {17u, 5u}, {130u, 70u}, {257u, 129u}}) {
    for (const uint32_t depth : {8u, 10u}) {
      const PictureFormat format{width, height, depth};
      const std::vector<Plane> planes = smooth_planes(format, 3);
      const auto stream = vvc()->encode(views(planes), format, depth == 8 ? 0 : -8);
      ASSERT_TRUE(stream.is_ok()) << stream.error().to_string();
      const auto decoded = decode(*vvc(), *stream, format, 3);
      ASSERT_TRUE(decoded.is_ok()) << decoded.error().to_string();
      EXPECT_LE(rms_difference(planes, *decoded), 2.0) << width << "x" << height << " at " << depth;
    }
  }
}

// libvvenc's rule decodes any VVC stream: FFmpeg's decoder must see the same samples.
TEST(VvcAdapter, ffmpeg_decodes_the_same_samples) {
  CodecEnvironment environment;
  environment.decode_only = true;
  const auto foreign = open_codec("libvvenc", environment);
  if (!foreign.is_ok()) GTEST_SKIP() << foreign.error().to_string();
  const PictureFormat format{160, 96, 10};
  const std::vector<Plane> planes = bell_planes(format, 3);
  const auto stream = vvc()->encode(views(planes), format, 24);
  ASSERT_TRUE(stream.is_ok()) << stream.error().to_string();
  const auto ours = decode(*vvc(), *stream, format, 3);
  const auto theirs = decode(*foreign.value(), *stream, format, 3);
  ASSERT_TRUE(ours.is_ok()) << ours.error().to_string();
  ASSERT_TRUE(theirs.is_ok()) << theirs.error().to_string();
  EXPECT_EQ(samples(*ours), samples(*theirs));
  EXPECT_GT(rms_difference(planes, *ours), 0.5);  // it is lossy
}

TEST(VvcAdapter, truncated_streams_and_other_formats_are_errors) {
  const PictureFormat format{128, 128, 8};
  const auto stream = vvc("vvc:hash=1")->encode(views(bell_planes(format, 2)), format, 30);
  ASSERT_TRUE(stream.is_ok()) << stream.error().to_string();
  ASSERT_TRUE(decode(*vvc(), *stream, format, 2).is_ok());
  for (size_t size = 0; size < stream->size(); size += 1 + stream->size() / 50) {
    EXPECT_FALSE(decode(*vvc(), std::span(*stream).first(size), format, 2).is_ok()) << size;
  }
  EXPECT_FALSE(decode(*vvc(), *stream, format, 1).is_ok());
  EXPECT_FALSE(decode(*vvc(), *stream, format, 3).is_ok());
  EXPECT_FALSE(decode(*vvc(), *stream, {64, 128, 8}, 2).is_ok());
  EXPECT_FALSE(decode(*vvc(), *stream, {128, 128, 10}, 2).is_ok());
}

TEST(VvcAdapter, wrong_options_and_qualities) {
  for (const char* spec : {"vvc:speed=1", "vvc:lambda=x", "vvc:lambda=-1", "vvc:hash=2"}) {
    const auto codec = open_codec(spec, {});
    ASSERT_FALSE(codec.is_ok()) << spec;
    EXPECT_EQ(codec.error().kind, ErrorKind::kInvalidArgument);
  }
  const PictureFormat format{32, 32, 8};
  for (const double quality : {-9.0, -1.0, 64.0, 20.5, std::nan("")}) {
    const auto stream = vvc()->encode(views(bell_planes(format, 1)), format, quality);
    ASSERT_FALSE(stream.is_ok()) << quality;
    EXPECT_EQ(stream.error().kind, ErrorKind::kInvalidArgument);
  }
}

}  // namespace
}  // namespace llmcodec
